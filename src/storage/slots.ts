/** At most so many at once: whoever comes later waits, first come first served. */
export class Slots {
  private free: number;
  private readonly waiters: (() => void)[] = [];

  constructor(count: number) {
    this.free = count;
  }

  /** Runs `work` in a slot. @throws the signal's reason while it waits; what `work` throws */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.take(signal);
    try {
      return await work();
    } finally {
      this.give();
    }
  }

  private take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.free > 0) {
      this.free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.waiters.splice(this.waiters.indexOf(enter), 1);
        reject(signal!.reason);
      };
      this.waiters.push(enter);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  private give(): void {
    const next = this.waiters.shift();
    if (next) next();
    else this.free++;
  }
}
