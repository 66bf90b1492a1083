/**
 * Long work of one thread, written as a generator that yields wherever it may pause: a whole forward pass would keep
 * signals, timers and messages waiting for seconds.
 */

/** Work that may pause at each `yield` and returns its result. */
export type Parts<T> = Generator<void, T, void>;

/** About as long as a key press may go unheard. */
const DEFAULT_SECONDS = 0.05;

/** The result of `work`, without a pause. */
export function finishParts<T>(work: Parts<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Does one piece of work after the other and lets the event loop turn once between parts when its turn is due. */
export class Turns {
  private readonly clock: () => number;
  private readonly seconds: number;
  private turnedAt: number;

  /**
   * @param clock seconds from any fixed point
   * @param seconds after which a turn is due
   */
  constructor(clock = () => performance.now() / 1000, seconds = DEFAULT_SECONDS) {
    this.clock = clock;
    this.seconds = seconds;
    this.turnedAt = clock();
  }

  /** The result of `work`; what it does and in which order is that of {@link finishParts}. */
  async run<T>(work: Parts<T>): Promise<T> {
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      if (this.clock() - this.turnedAt >= this.seconds) await this.turn();
    }
  }

  /** One turn of the event loop: signals, messages and timers that wait are heard. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.turnedAt = this.clock();
  }
}
