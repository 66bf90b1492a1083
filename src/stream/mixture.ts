/**
 * Which stream the next sample comes from, so that every stream's share is kept at every moment: after n draws stream i
 * has been drawn within one of n·weight_i times. This is Tijdeman's solution of the chairman assignment problem (1980):
 * of the streams that may be drawn without running ahead, the one whose turn would be overdue first. No randomness.
 */

/**
 * The next stream, by its index.
 * @param weights sum to 1
 * @param drawn how often each was drawn under these weights
 */
export function nextStream(weights: readonly number[], drawn: readonly number[]): number {
  const n = drawn.reduce((sum, each) => sum + each, 1);
  const margin = weights.length > 1 ? 1 / (2 * weights.length - 2) : 0;
  let best = -1;
  let bestDeadline = Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < weights.length; i++) {
    const deficit = weights[i]! * n - drawn[i]!;
    if (deficit > weights[largest]! * n - drawn[largest]!) largest = i;
    if (weights[i] === 0 || deficit < margin) continue;
    const deadline = (1 - margin - deficit) / weights[i]!;
    if (deadline < bestDeadline) {
      best = i;
      bestDeadline = deadline;
    }
  }
  // Only rounding can leave no candidate; then the one furthest behind.
  return best >= 0 ? best : largest;
}
