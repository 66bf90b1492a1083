/**
 * Ends a request that is silent: no byte for so long, however long it has been running. A total timeout would end
 * slow but healthy transfers of large objects and let a dead connection to a small one hang.
 */
import type { Clock } from '../base/index.ts';
import { StoreFailure } from './store-failure.ts';

export class StallGuard {
  private readonly controller = new AbortController();
  private readonly stopped = new AbortController();
  private readonly clock: Clock;
  private readonly timeoutMs: number;
  private readonly parent?: AbortSignal;
  private readonly onParentAbort = () => this.controller.abort(this.parent!.reason);
  private touchedAt: number;

  /** @param parent aborts the request, too */
  constructor(clock: Clock, timeoutMs: number, parent?: AbortSignal) {
    this.clock = clock;
    this.timeoutMs = timeoutMs;
    this.parent = parent;
    this.touchedAt = clock.now();
    if (parent?.aborted) this.onParentAbort();
    else parent?.addEventListener('abort', this.onParentAbort, { once: true });
    void this.watch();
  }

  /** For the request: aborted with a {@link StoreFailure} when it stalls. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Something arrived. */
  touch(): void {
    this.touchedAt = this.clock.now();
  }

  /** The request has ended. */
  stop(): void {
    this.parent?.removeEventListener('abort', this.onParentAbort);
    this.stopped.abort();
  }

  /** The request has failed: what may still come of it is not wanted. */
  cancel(): void {
    if (!this.signal.aborted) this.controller.abort();
  }

  /** The reason the guard ended the request for, where it did; otherwise `error`. */
  explain(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : error;
  }

  private async watch(): Promise<void> {
    try {
      for (;;) {
        const silentMs = this.clock.now() - this.touchedAt;
        if (silentMs >= this.timeoutMs) break;
        await this.clock.sleep(this.timeoutMs - silentMs, this.stopped.signal);
      }
    } catch {
      return;
    }
    const seconds = this.timeoutMs / 1000;
    this.controller.abort(new StoreFailure('stalled', `no byte came for ${seconds} s`));
  }
}
