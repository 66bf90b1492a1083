/** What samples are read from: {@link MdsReader} over a folder of shards, or anything with the same face. */

/** Random access to samples that stand in a fixed order. Reading is synchronous and each sample is in memory of its own. */
export interface SampleReader {
  /** where the samples are, for messages */
  readonly dir: string;
  readonly numSamples: number;
  /** samples that are fetched together, in order; absent where any sample is as near as any other */
  readonly shardSizes?: readonly number[];
  /** @param index 0 to numSamples - 1 */
  read(index: number): Record<string, unknown>;
  close(): void;
}
