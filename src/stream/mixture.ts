/**
 * Which stream the next sample comes from, so that every stream's share is kept at every moment: what a stream is owed
 * grows by its weight with each draw and falls by one when it is drawn. Under constant weights what each is owed stays
 * within one draw of nothing. This is Tijdeman's solution of the chairman assignment problem (1980): of the streams that may
 * be drawn without running ahead, the one whose turn would be overdue first. No randomness.
 * Weights may change at every draw: what a stream is owed is carried over, so the shares are exact over all mixes together.
 * Limit: deadlines are those of the weights at hand, so while weights change a debt can exceed one draw for a while.
 */
import { assert } from '../base/index.ts';

/** All that the next draw depends on besides the weights; survives JSON. */
export interface MixtureState {
  /** what the stream was owed when the present weights were set */
  readonly carried: number;
  /** draws under the present weights */
  readonly drawnInMix: number;
}

/** Takes turns between streams, which it knows by their number. */
export class Mixture {
  private weights: readonly number[];
  private carried: number[];
  private drawnInMix: number[];

  /** @param weights sum to 1 */
  constructor(weights: readonly number[]) {
    this.weights = weights;
    this.carried = weights.map(() => 0);
    this.drawnInMix = weights.map(() => 0);
  }

  get currentWeights(): readonly number[] {
    return this.weights;
  }

  /** Changes the weights for what follows; setting those it has changes nothing, not even by rounding. */
  setWeights(weights: readonly number[]): void {
    assert(weights.length === this.weights.length, `${weights.length} weights`);
    if (weights.every((weight, i) => weight === this.weights[i])) return;
    const n = this.numDrawn();
    this.carried = this.carried.map((carried, i) => carried + this.weights[i]! * n - this.drawnInMix[i]!);
    this.drawnInMix = weights.map(() => 0);
    this.weights = weights;
  }

  /** The next stream, which is drawn thereby; -1 where none has a weight. */
  next(): number {
    const n = this.numDrawn() + 1;
    const { weights } = this;
    const margin = weights.length > 1 ? 1 / (2 * weights.length - 2) : 0;
    let best = -1;
    let bestDeadline = Number.POSITIVE_INFINITY;
    let largest = -1;
    let largestDebt = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < weights.length; i++) {
      if (weights[i] === 0) continue;
      const debt = this.carried[i]! + weights[i]! * n - this.drawnInMix[i]!;
      if (debt > largestDebt) {
        largest = i;
        largestDebt = debt;
      }
      if (debt < margin) continue;
      const deadline = (1 - margin - debt) / weights[i]!;
      if (deadline < bestDeadline) {
        best = i;
        bestDeadline = deadline;
      }
    }
    // Rounding, or a debt carried to a stream of weight 0, can leave no candidate; then the one furthest behind.
    const chosen = best >= 0 ? best : largest;
    if (chosen >= 0) this.drawnInMix[chosen]!++;
    return chosen;
  }

  clone(): Mixture {
    const copy = new Mixture(this.weights);
    copy.carried = [...this.carried];
    copy.drawnInMix = [...this.drawnInMix];
    return copy;
  }

  state(): MixtureState[] {
    return this.carried.map((carried, i) => ({ carried, drawnInMix: this.drawnInMix[i]! }));
  }

  restore(weights: readonly number[], state: readonly MixtureState[]): void {
    this.weights = weights;
    this.carried = state.map((each) => each.carried);
    this.drawnInMix = state.map((each) => each.drawnInMix);
  }

  private numDrawn(): number {
    return this.drawnInMix.reduce((sum, each) => sum + each, 0);
  }
}
