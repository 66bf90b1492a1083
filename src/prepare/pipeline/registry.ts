/**
 * The stages that `data.pipeline` may name, and its schema: `- { stage: NAME, ...settings of the stage }`, with `domains` and
 * `formats` to apply a stage to a part of the corpus.
 */
import { z } from 'zod';
import { assert } from '../../base/index.ts';
import { FORMATS, type Format } from '../source-config.ts';
import { TEXT_STAGES } from '../text/index.ts';
import type { TextStage } from '../text/stage.ts';
import { length, minified } from './cleaning.ts';

// biome-ignore lint/suspicious/noExplicitAny: each stage has a config of its own, which only itself looks into
export type AnyStage = TextStage<any>;

export const STAGES: readonly AnyStage[] = [minified, length, ...Object.values(TEXT_STAGES)];

/** The settings of the pipeline itself, beside those of a stage. */
const selectors = {
  /** only documents of these domains; left out: all */
  domains: z.array(z.string()).min(1).optional(),
  /** only documents from sources of these formats; left out: all */
  formats: z.array(z.enum(FORMATS)).min(1).optional(),
};

export interface PipelineEntry {
  readonly stage: string;
  readonly domains?: readonly string[];
  readonly formats?: readonly Format[];
  /** the settings of the stage */
  readonly [key: string]: unknown;
}

const variants = STAGES.map((stage) =>
  stage.schema.safeExtend({ stage: z.literal(stage.name), ...selectors }),
);

export const pipelineSchema = z.array(
  z.discriminatedUnion('stage', variants as unknown as [z.ZodObject<{ stage: z.ZodLiteral }>]),
) as unknown as z.ZodType<readonly PipelineEntry[]>;

/** What a recipe that says nothing of a pipeline gets: the light cleaning. */
export const DEFAULT_PIPELINE: readonly PipelineEntry[] = [
  { stage: 'minified', formats: ['code'] },
  { stage: 'length' },
  { stage: 'exact-duplicates' },
];

/** A stage of a pipeline, ready to be run. */
export interface PlannedStage {
  readonly stage: AnyStage;
  readonly config: unknown;
  readonly domains?: readonly string[];
  readonly formats?: readonly Format[];
}

/** The stage that an entry names, and its settings. */
export function plannedStage({ stage: name, domains, formats, ...config }: PipelineEntry): PlannedStage {
  return { stage: stageNamed(name), config, domains, formats };
}

export function stageNamed(name: string): AnyStage {
  const stage = STAGES.find((each) => each.name === name);
  assert(stage, `a stage "${name}" that the schema let through`);
  return stage;
}
