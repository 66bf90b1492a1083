/** What the data sets of this room say about places in the data. */

/** Relative weights of the streams; one left out has 0. */
export type Mix = Readonly<Record<string, number>>;

/** A process among `count`, on `nodes` nodes with equally many each. */
export interface RankOf {
  readonly index: number;
  readonly count: number;
  /** default 1 */
  readonly nodes?: number;
}

/** One sample of a stream. */
export interface SamplePlace {
  readonly stream: string;
  readonly index: number;
}

/** One shard of a stream. */
export interface ShardPlace {
  readonly stream: string;
  readonly shard: number;
}
