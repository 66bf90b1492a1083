/** The stages of text preparation by name, as a recipe's pipeline lists them. */
import { boilerplate } from './boilerplate.ts';
import { classifier } from './classifier/stage.ts';
import { decontaminate } from './decontaminate.ts';
import { exactDuplicates } from './duplicates/exact.ts';
import { nearDuplicates } from './duplicates/near.ts';
import { language } from './language.ts';
import { mailBody } from './mail-body.ts';
import { normalise } from './normalise.ts';
import { pii } from './pii.ts';
import { c4 } from './quality/c4.ts';
import { fineweb } from './quality/fineweb.ts';
import { gopherQuality } from './quality/gopher.ts';
import { gopherRepetition } from './quality/gopher-repetition.ts';
import { sample } from './sample.ts';
import type { TextStage } from './stage.ts';

const STAGES = [
  normalise,
  mailBody,
  boilerplate,
  language,
  c4,
  gopherQuality,
  gopherRepetition,
  fineweb,
  classifier,
  exactDuplicates,
  nearDuplicates,
  decontaminate,
  pii,
  sample,
] as readonly TextStage<unknown>[];

/** Every stage by its name. */
export const TEXT_STAGES: Readonly<Record<string, TextStage<unknown>>> = Object.fromEntries(
  STAGES.map((stage) => [stage.name, stage]),
);
