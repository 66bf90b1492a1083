/** The frame of the stages that drop duplicates: which items are candidates and which of those are equal is for each to say. */
import type { StageSchema, TextStage } from '../stage.ts';
import { joinItems } from './join.ts';
import { type Fingerprint, Parts, type Unit, writePart } from './parts.ts';
import { describeDuplicates, dropDuplicates, type KeepRule, summarise } from './verdict.ts';

/** How duplicates are found with one config. */
export interface DuplicateSearch {
  /** pairs of words in the keys of a fingerprint; items with an equal pair at one place are candidates */
  readonly numBands: number;
  /** made anew for each shard */
  fingerprint(): Fingerprint;
  /** whether two candidates are duplicates; without it they are */
  verifier?(parts: Parts): (a: number, b: number) => boolean;
  /** which of a cluster stays; default the first */
  readonly keep?: KeepRule;
}

export function duplicatesStage<Config extends { readonly unit: Unit }>(
  name: string,
  schema: StageSchema<Config>,
  searchOf: (config: Config) => DuplicateSearch,
): TextStage<Config> {
  return {
    name,
    version: 1,
    schema,
    survey: {
      map(documents, config) {
        const search = searchOf(config);
        return writePart(documents, config.unit, search.numBands, search.fingerprint());
      },
      async merge(partPaths, config, { memoryBytes, signal }) {
        const { numBands, keep = 'first', ...search } = searchOf(config);
        const parts = new Parts(partPaths);
        try {
          const isDuplicate = search.verifier?.(parts) ?? (() => true);
          const { clusters } = joinItems(parts, { numBands, memoryBytes, isDuplicate, signal });
          return summarise(parts, clusters, keep);
        } finally {
          parts.close();
        }
      },
      describe: describeDuplicates,
    },
    create: (config, summary) => dropDuplicates(summary!, config.unit),
  };
}
