/** The stages of text preparation by name, as a recipe's pipeline lists them. */
import { normalise } from './normalise.ts';
import type { TextStage } from './stage.ts';

export const TEXT_STAGES = { [normalise.name]: normalise } as Readonly<Record<string, TextStage<unknown>>>;
