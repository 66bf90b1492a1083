/**
 * How fast a store may be asked, per prefix: no limit until the server throttles, then half the rate that was reached, raised steadily
 * while requests succeed (additive increase, multiplicative decrease: Chiu and Jain 1989, as TCP does it), until nothing is left of it.
 * A prefix is a key's folder: that is how object stores partition their own limits. One process knows only its own
 * requests; others that are throttled slow down by themselves.
 */
import type { Clock } from '../base/index.ts';
import { Slots } from './slots.ts';

const MIN_PER_SECOND = 0.5;
/** the rate taken to have been reached where too few requests were sent to tell */
const MIN_REACHED = 8;
/** seconds of success in which a halved rate is back */
const RECOVERY_S = 15;
/** a limit that is this many times what was reached when the throttling began is dropped */
const DROP_AT = 2;
/** over which the rate of an unlimited prefix is measured */
const WINDOW_MS = 1000;
const MIN_WINDOW_MS = 100;

/** One request that may be sent. */
export interface Grant {
  succeeded(): void;
  throttled(retryAfterMs?: number): void;
}

export class PrefixLimiter {
  private readonly clock: Clock;
  private readonly maxRequests: number;
  private readonly prefixes = new Map<string, Prefix>();

  /** @param maxRequests under way at once, of each prefix, so that one that is throttled holds up no other */
  constructor(clock: Clock, maxRequests: number) {
    this.clock = clock;
    this.maxRequests = maxRequests;
  }

  /** Sends a request when its turn has come, first come first served. @throws the signal's reason; what `send` throws */
  async run<T>(key: string, signal: AbortSignal | undefined, send: (grant: Grant) => Promise<T>): Promise<T> {
    const name = key.slice(0, key.lastIndexOf('/') + 1);
    let prefix = this.prefixes.get(name);
    if (!prefix) {
      this.dropIdle();
      prefix = new Prefix(this.clock, this.maxRequests);
      this.prefixes.set(name, prefix);
    }
    return prefix.run(signal, send);
  }

  /** Requests per second the prefix of `key` is held to; Infinity where it is not. */
  ratePerSecond(key: string): number {
    return (
      this.prefixes.get(key.slice(0, key.lastIndexOf('/') + 1))?.ratePerSecond ?? Number.POSITIVE_INFINITY
    );
  }

  /** Prefixes that are remembered. */
  get size(): number {
    return this.prefixes.size;
  }

  /** Keeps the map from growing with the number of folders: what is unlimited and quiet says nothing. */
  private dropIdle(): void {
    if (this.prefixes.size < 64) return;
    for (const [name, prefix] of this.prefixes) if (prefix.isIdle()) this.prefixes.delete(name);
  }
}

class Prefix {
  private readonly clock: Clock;
  /** Infinity: not limited */
  ratePerSecond = Number.POSITIVE_INFINITY;
  /** the rate at which the last decrease found the prefix */
  private reached = 0;
  private sentAt: number[] = [];
  private nextAt = 0;
  private decreasedAt = Number.NEGATIVE_INFINITY;
  private raisedAt = 0;
  private last: Promise<unknown> = Promise.resolve();
  private active = 0;
  private readonly slots: Slots;

  constructor(clock: Clock, maxRequests: number) {
    this.clock = clock;
    this.slots = new Slots(maxRequests);
  }

  isIdle(): boolean {
    const now = this.clock.now();
    const isQuiet = this.active === 0 && now - (this.sentAt.at(-1) ?? 0) > WINDOW_MS;
    return isQuiet && this.ratePerSecond === Number.POSITIVE_INFINITY && now > this.nextAt;
  }

  async run<T>(signal: AbortSignal | undefined, send: (grant: Grant) => Promise<T>): Promise<T> {
    this.active++;
    try {
      return await this.slots.run(async () => send(await this.acquire(signal)), signal);
    } finally {
      this.active--;
    }
  }

  private async acquire(signal?: AbortSignal): Promise<Grant> {
    const turn = this.last.then(() => this.waitForSlot(signal));
    this.last = turn.catch(() => undefined);
    return this.grant(await turn);
  }

  /** The moment of sending. The rate may change while we wait, so it is looked at again. */
  private async waitForSlot(signal?: AbortSignal): Promise<number> {
    signal?.throwIfAborted();
    for (let now = this.clock.now(); now < this.nextAt; now = this.clock.now()) {
      await this.clock.sleep(Math.min(this.nextAt - now, WINDOW_MS), signal);
    }
    const now = this.clock.now();
    this.nextAt = Math.max(this.nextAt, now + 1000 / this.ratePerSecond);
    this.sentAt.push(now);
    while (this.sentAt[0]! <= now - WINDOW_MS) this.sentAt.shift();
    return now;
  }

  private grant(sentAt: number): Grant {
    return {
      succeeded: () => this.raise(),
      throttled: (retryAfterMs = 0) => {
        this.nextAt = Math.max(this.nextAt, this.clock.now() + retryAfterMs);
        // Requests that were under way when the rate was lowered say nothing about the lower rate.
        if (sentAt > this.decreasedAt) this.lower();
      },
    };
  }

  private lower(): void {
    const now = this.clock.now();
    const recent = this.sentAt.filter((at) => at > now - WINDOW_MS);
    // A burst that was throttled at once tells its rate, too.
    const measured = (1000 * recent.length) / Math.max(MIN_WINDOW_MS, now - (recent[0] ?? now));
    this.reached = Math.min(this.ratePerSecond, Math.max(measured, MIN_REACHED));
    this.ratePerSecond = Math.max(MIN_PER_SECOND, this.reached / 2);
    this.decreasedAt = now;
    this.raisedAt = now;
    this.nextAt = Math.max(this.nextAt, now + 1000 / this.ratePerSecond);
  }

  private raise(): void {
    if (this.ratePerSecond === Number.POSITIVE_INFINITY) return;
    const now = this.clock.now();
    this.ratePerSecond += ((this.reached / 2) * (now - this.raisedAt)) / 1000 / RECOVERY_S;
    this.raisedAt = now;
    if (this.ratePerSecond > DROP_AT * this.reached) this.ratePerSecond = Number.POSITIVE_INFINITY;
  }
}
