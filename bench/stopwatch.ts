/**
 * Kernels that note how long they are at work. Every call is timed from outside, the addon's binding included; the time
 * the clock itself takes, measured at the start, is subtracted once a call.
 */
import type { Kernels } from '../src/tensor/index.ts';

type Method = (...args: unknown[]) => unknown;

export class Stopwatch {
  readonly kernels: Kernels;
  private spentMs = 0;
  private calls = 0;
  private readonly clockMs: number;

  constructor(kernels: Kernels) {
    const methods = Object.entries(kernels).filter(([, value]) => typeof value === 'function');
    const timed = methods.map(([name, method]) => [name, { value: this.timed(method as Method) }]);
    this.kernels = Object.create(kernels, Object.fromEntries(timed));
    const idle = this.timed(() => undefined);
    for (let i = 0; i < 100_000; i++) idle();
    this.clockMs = this.spentMs / this.calls;
  }

  /** Milliseconds in kernels while `work` runs. */
  during(work: () => void): number {
    this.spentMs = 0;
    this.calls = 0;
    work();
    return this.spentMs - this.calls * this.clockMs;
  }

  private timed(method: Method): Method {
    return (...args) => {
      const start = performance.now();
      const result = method(...args);
      this.spentMs += performance.now() - start;
      this.calls++;
      return result;
    };
  }
}
