/** A queue between a producer that calls and a consumer that iterates. One consumer; what was pushed is never lost. */
export class EventQueue<T> implements AsyncIterable<T> {
  private readonly items: T[] = [];
  private ended = false;
  private error: { readonly reason: unknown } | undefined;
  private wake: (() => void) | undefined;

  push(item: T): void {
    if (this.ended) return;
    this.items.push(item);
    this.wake?.();
  }

  /** No more items; what is queued is still delivered. */
  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** No more items; the consumer gets what is queued, then `reason` is thrown. */
  fail(reason: unknown): void {
    if (this.ended) return;
    this.error = { reason };
    this.end();
  }

  /** As {@link fail}, but at once: what is queued is dropped. */
  abort(reason: unknown): void {
    if (this.ended) return;
    this.items.length = 0;
    this.fail(reason);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (let next = 0; ; ) {
      if (next < this.items.length) {
        yield this.items[next++];
        continue;
      }
      this.items.length = 0;
      next = 0;
      if (this.error) throw this.error.reason;
      if (this.ended) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}
