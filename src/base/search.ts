/** Search among numbers that rise. */

/** The last index in `first..last` whose value is at most `value`, the last of equal ones; `first` where none is. */
export function lastAtMost(
  rising: ArrayLike<number>,
  value: number,
  first = 0,
  last = rising.length - 1,
): number {
  let low = first;
  let high = last;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (rising[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
