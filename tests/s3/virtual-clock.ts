/** A clock that stands still while anything can be done and then jumps to the next moment somebody waits for. */
import type { Clock } from '../../src/base/index.ts';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

export class VirtualClock implements Clock {
  private time = 0;
  private sleepers: Sleeper[] = [];
  private isPumping = false;

  now(): number {
    return this.time;
  }

  epochMs(): number {
    return 1e12 + this.time;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { at: this.time + ms, wake: resolve };
      this.sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.sleepers = this.sleepers.filter((each) => each !== sleeper);
        reject(signal.reason);
      });
      this.pump();
    });
  }

  private pump(): void {
    if (this.isPumping) return;
    this.isPumping = true;
    setImmediate(() => {
      this.isPumping = false;
      const next = this.sleepers.reduce<Sleeper | undefined>(
        (a, b) => (a && a.at <= b.at ? a : b),
        undefined,
      );
      if (!next) return;
      this.time = Math.max(this.time, next.at);
      this.sleepers = this.sleepers.filter((each) => each !== next);
      next.wake();
      this.pump();
    });
  }
}
