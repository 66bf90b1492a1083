/** Figures of the samples of a data set, gathered sample by sample. */
import { hashBytes } from '../hashes.ts';

/** Sizes of the values of a column, in bytes, or lengths, in tokens. */
export interface Spread {
  readonly count: number;
  readonly total: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
}

export class SpreadCounter {
  private count = 0;
  private total = 0;
  private min = Number.POSITIVE_INFINITY;
  private max = 0;

  add(value: number): void {
    this.count++;
    this.total += value;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }

  get spread(): Spread {
    const { count, total } = this;
    return { count, total, min: count ? this.min : 0, max: this.max, mean: count ? total / count : 0 };
  }
}

/** Ids above this are no tokens of any vocabulary. */
const MAX_TOKEN_ID = 2 ** 24;

export interface TokenReport {
  readonly lengths: Spread;
  /** how many different ids occur */
  readonly distinct: number;
  readonly minId: number;
  readonly maxId: number;
  /** the most frequent first */
  readonly top: readonly { readonly id: number; readonly count: number }[];
  /** how many ids occur 1, 2-9, 10-99, ... times: entry k counts those of 10^(k-1) to 10^k - 1; entry 0: once */
  readonly idsByFrequency: readonly number[];
}

/** Counts tokens by id. */
export class TokenCounter {
  private counts = new Float64Array(1024);
  private readonly lengths = new SpreadCounter();
  private refused = false;

  add(tokens: ArrayLike<number>): void {
    this.lengths.add(tokens.length);
    for (let i = 0; i < tokens.length; i++) {
      const id = tokens[i]!;
      if (id >= this.counts.length && !this.grow(id)) return;
      if (id < 0) {
        this.refused = true;
        return;
      }
      this.counts[id]!++;
    }
  }

  /** undefined where some values cannot be tokens */
  report(numTop: number): TokenReport | undefined {
    if (this.refused) return undefined;
    const ids = [...this.counts.keys()].filter((id) => this.counts[id]! > 0);
    const idsByFrequency: number[] = [];
    for (const id of ids) {
      const count = this.counts[id]!;
      const k = count === 1 ? 0 : Math.floor(Math.log10(count) + 1e-12) + 1;
      while (idsByFrequency.length <= k) idsByFrequency.push(0);
      idsByFrequency[k]!++;
    }
    const top = [...ids]
      .sort((a, b) => this.counts[b]! - this.counts[a]! || a - b)
      .slice(0, numTop)
      .map((id) => ({ id, count: this.counts[id]! }));
    return {
      lengths: this.lengths.spread,
      distinct: ids.length,
      minId: ids[0] ?? 0,
      maxId: ids.at(-1) ?? 0,
      top,
      idsByFrequency,
    };
  }

  private grow(id: number): boolean {
    if (!Number.isInteger(id) || id >= MAX_TOKEN_ID) {
      this.refused = true;
      return false;
    }
    const wider = new Float64Array(Math.max(id + 1, 2 * this.counts.length));
    wider.set(this.counts);
    this.counts = wider;
    return true;
  }
}

/** 16 bytes of memory a sample. */
const MAX_COMPARED = 2 ** 25;
const MAX_SHOWN = 10;

export interface DuplicateReport {
  /** the column that was compared; null for whole samples */
  readonly column: string | null;
  /** samples that were compared: all, or the first 33,554,432 */
  readonly compared: number;
  /** samples beyond the first of each kind */
  readonly duplicates: number;
  /** some of them: numbers of samples that are equal */
  readonly groups: readonly (readonly number[])[];
}

/** Finds equal values by 64 bits of a digest (xxh64). */
export class DuplicateFinder {
  private readonly column: string | null;
  private digests = new BigUint64Array(1024);
  private count = 0;
  private numbers = new Float64Array(1024);

  constructor(column: string | null) {
    this.column = column;
  }

  add(index: number, bytes: Iterable<Uint8Array>): void {
    if (this.count === MAX_COMPARED) return;
    if (this.count === this.digests.length) this.grow();
    this.digests[this.count] = BigInt(`0x${hashBytes('xxh64', bytes)}`);
    this.numbers[this.count++] = index;
  }

  get report(): DuplicateReport {
    const digests = this.digests.subarray(0, this.count);
    const sorted = digests.slice().sort();
    const shown = new Map<bigint, number[]>();
    let duplicates = 0;
    for (let i = 1; i < sorted.length; i++) {
      if (sorted[i] !== sorted[i - 1]) continue;
      duplicates++;
      if (shown.size < MAX_SHOWN) shown.set(sorted[i]!, []);
    }
    for (let i = 0; i < digests.length && shown.size > 0; i++) {
      const group = shown.get(digests[i]!);
      if (group && group.length < MAX_SHOWN) group.push(this.numbers[i]!);
    }
    const groups = [...shown.values()].sort(([a], [b]) => a! - b!);
    return { column: this.column, compared: this.count, duplicates, groups };
  }

  private grow(): void {
    const digests = new BigUint64Array(2 * this.count);
    digests.set(this.digests);
    this.digests = digests;
    const numbers = new Float64Array(2 * this.count);
    numbers.set(this.numbers);
    this.numbers = numbers;
  }
}
