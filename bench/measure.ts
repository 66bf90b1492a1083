/**
 * How a claim of speed is measured: in every round the case and what it is held against run one after the other, so that
 * all meet the same machine; the medians of at least five rounds are compared. A case is repeated within a round for
 * `windowMs`, after one call that is not counted; one that takes longer runs once a round.
 */
import type { Kernels } from '../src/tensor/index.ts';

/** What a case is held against; `rate` measures it anew, in the unit of the cases, perhaps in another process. */
export interface Limit {
  readonly name: string;
  rate(): number | Promise<number>;
}

export interface Case {
  readonly name: string;
  readonly unit: string;
  /** units done by one call of `run`, e.g. floating-point operations for FLOP/s */
  readonly work: number;
  readonly limit: Limit;
  /** further baselines, a row each */
  readonly peers?: readonly Limit[];
  /** how long a round repeats it; default 20 */
  readonly windowMs?: number;
  run(): void;
  /** measures itself, where repeating `run` would not do; once a round, in `unit` */
  readonly rate?: () => number | Promise<number>;
}

export interface Measurement {
  readonly bench: string;
  readonly case: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline: string;
  readonly baselineValue: number;
  readonly ratio: number;
  readonly threads: number;
  readonly commit: string;
}

/** A bench file's default export: its cases on the given kernels, made one at a time to keep memory small. */
export type Bench = (
  kernels: Kernels,
  options: { megabytes: readonly number[] },
) => Iterable<Case> | AsyncIterable<Case>;

export interface Comparison {
  readonly value: number;
  readonly baseline: string;
  readonly baselineValue: number;
}

export const ROUNDS = 5;

/** Median rates of a case, and of its limit and its peers, over {@link ROUNDS} interleaved rounds. */
export async function measure(subject: Case): Promise<Comparison[]> {
  const values: number[] = [];
  const baselines = [subject.limit, ...(subject.peers ?? [])].map((limit) => ({
    limit,
    rates: [] as number[],
  }));
  const { run, work, windowMs = 20 } = subject;
  run();
  for (let round = 0; round < ROUNDS; round++) {
    values.push(subject.rate ? await subject.rate() : rateOf(run, work, windowMs));
    for (const { limit, rates } of baselines) rates.push(await limit.rate());
  }
  const value = median(values);
  return baselines.map(({ limit, rates }) => ({ value, baseline: limit.name, baselineValue: median(rates) }));
}

/**
 * Work per second of the fastest sample within `windowMs`, a sample being one call, or so many that they take 0.1 ms. The
 * multiply-add peak is the fastest of such windows too, so neither is charged for moments given to other processes.
 */
export function rateOf(run: () => void, work: number, windowMs: number): number {
  let calls = 1;
  let fastestMs = Number.POSITIVE_INFINITY;
  const end = performance.now() + windowMs;
  do {
    const start = performance.now();
    for (let call = 0; call < calls; call++) run();
    const elapsedMs = performance.now() - start;
    fastestMs = Math.min(fastestMs, elapsedMs / calls);
    if (elapsedMs < 0.1) calls *= 2;
  } while (performance.now() < end);
  return (work * 1000) / fastestMs;
}

/** Multiply-adds of the engine on registers only, on its current threads. */
export function peakOf(kernels: Kernels, precision: 'f32' | 'bf16', windowMs = 10): Limit {
  return {
    name: `${precision} multiply-add peak`,
    rate: () => kernels.measurePeakFlops(precision, windowMs),
  };
}

/** Values in [-0.5, 0.5) in memory of the engine, the same in every run. */
export function floats(kernels: Kernels, length: number): Float32Array {
  const array = new Float32Array(kernels.allocate(Math.max(4, length * 4)), 0, length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    array[i] = state / 2 ** 32 - 0.5;
  }
  return array;
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
