/**
 * Sending again: exponential backoff with full jitter, attempts and a deadline per operation, and a budget of retries per store.
 * Source: M. Brooker, "Exponential Backoff And Jitter" (AWS, 2015) for full jitter; the budget is the token bucket of Finagle and
 * of the AWS SDKs: successes pay for retries, so that a server that fails everything gets little more than its first requests.
 */
import type { Clock, Rng } from '../base/index.ts';
import { StoreFailure, TREATMENTS } from './store-failure.ts';

export interface RetryPolicy {
  /** of one operation, since it last got bytes */
  readonly maxAttempts: number;
  /** the first pause is drawn from 0 to this; each later one from twice the range */
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** no attempt starts later than this after the operation began or last got bytes */
  readonly deadlineMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 8,
  baseDelayMs: 100,
  maxDelayMs: 20_000,
  deadlineMs: 300_000,
};

/** Retries a store may be sent: a bucket that successes and time fill. */
export class RetryBudget {
  private readonly clock: Clock;
  private readonly capacity: number;
  private tokens: number;
  private filledAt: number;

  constructor(clock: Clock, capacity = 100) {
    this.clock = clock;
    this.capacity = capacity;
    this.tokens = capacity;
    this.filledAt = clock.now();
  }

  /** Takes one retry; false where none is left. */
  take(): boolean {
    const now = this.clock.now();
    this.add(((now - this.filledAt) / 1000) * PER_SECOND);
    this.filledAt = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }

  /** To be told of each request that went well. */
  succeeded(): void {
    this.add(PER_SUCCESS);
  }

  private add(tokens: number): void {
    this.tokens = Math.min(this.capacity, this.tokens + tokens);
  }
}

const PER_SUCCESS = 0.2;
const PER_SECOND = 0.5;

export interface RetryParts {
  readonly policy: RetryPolicy;
  readonly budget: RetryBudget;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** What an operation may tell while it runs: that bytes came, so that attempts and deadline count from here. */
export type Progressed = () => void;

/** A failure that is final, with what was tried. */
export class GaveUp extends Error {
  readonly failure: StoreFailure;
  /** ` after 8 attempts in 12.1 s`, or '' */
  readonly tried: string;

  constructor(failure: StoreFailure, tried: string) {
    super(failure.message + tried, { cause: failure });
    this.failure = failure;
    this.tried = tried;
  }
}

/**
 * Runs `operation` until it succeeds, fails with something else than a {@link StoreFailure}, or may not be tried again.
 * @throws GaveUp; the signal's reason
 */
export async function withRetries<T>(
  parts: RetryParts,
  operation: (progressed: Progressed) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { policy, budget, clock, rng } = parts;
  const beganAt = clock.now();
  let since = beganAt;
  let counted = 0;
  let failures = 0;
  let attempts = 0;
  const progressed = () => {
    since = clock.now();
    counted = 0;
    failures = 0;
  };
  for (;;) {
    signal?.throwIfAborted();
    attempts++;
    try {
      const result = await operation(progressed);
      budget.succeeded();
      return result;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof StoreFailure)) throw error;
      const { retried, countsAttempt, takesBudget } = TREATMENTS[error.kind];
      if (countsAttempt) counted++;
      const delayMs = pauseMs(policy, rng, failures++, error.detail.retryAfterMs);
      const seconds = ((clock.now() - beganAt) / 1000).toFixed(1);
      const tried = attempts > 1 ? ` (${attempts} attempts in ${seconds} s)` : '';
      if (!retried) throw new GaveUp(error, tried);
      if (counted >= policy.maxAttempts) throw new GaveUp(error, tried);
      if (clock.now() + delayMs - since > policy.deadlineMs)
        throw new GaveUp(error, `${tried}, the time is up`);
      if (takesBudget && !budget.take())
        throw new GaveUp(error, `${tried}, too many requests to this store fail`);
      await clock.sleep(delayMs, signal);
    }
  }
}

function pauseMs(policy: RetryPolicy, rng: Rng, failures: number, retryAfter = 0): number {
  const range = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** Math.min(failures, 30));
  return retryAfter + rng.uniform() * range;
}
