/** The limits of this JavaScript engine, as the native kernels measure those of the machine. */

/** FLOP/s of scalar multiply-adds in this JavaScript engine; the same for both precisions. */
export function measurePeakFlops(_precision: string, milliseconds: number): number {
  const start = performance.now();
  const sums = [0.1, 0.2, 0.3, 0.4];
  let flops = 0;
  let elapsedMs = 0;
  do {
    let [a, b, c, d] = sums;
    for (let i = 0; i < 100_000; i++) {
      a = a * 0.999 + 0.001;
      b = b * 0.999 + 0.001;
      c = c * 0.999 + 0.001;
      d = d * 0.999 + 0.001;
    }
    sums.splice(0, 4, a, b, c, d);
    flops += 800_000;
    elapsedMs = performance.now() - start;
  } while (elapsedMs < milliseconds);
  return flops / (elapsedMs / 1000);
}

/** Bytes per second at which one thread sums an array larger than the caches; best of at least three passes. */
export function measureReadBandwidth(milliseconds: number): number {
  const values = new Float64Array(1 << 23).fill(1);
  const start = performance.now();
  let best = 0;
  for (let pass = 0; pass < 3 || performance.now() - start < milliseconds; pass++) {
    const from = performance.now();
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < values.length; i += 4) {
      a += values[i]!;
      b += values[i + 1]!;
      c += values[i + 2]!;
      d += values[i + 3]!;
    }
    // Written back, or the sums could be left out.
    values[0] = Math.min(1, a + b + c + d);
    best = Math.max(best, (values.byteLength * 1000) / (performance.now() - from));
  }
  return best;
}
