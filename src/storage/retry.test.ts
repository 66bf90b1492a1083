import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../tests/s3/virtual-clock.ts';
import { Rng } from '../base/index.ts';
import { PrefixLimiter } from './prefix-limiter.ts';
import { DEFAULT_RETRY, GaveUp, RetryBudget, withRetries } from './retry.ts';
import { type FailureKind, retryAfterMs, StoreFailure } from './store-failure.ts';

function parts(seed = 1, budget = 100) {
  const clock = new VirtualClock();
  return { policy: DEFAULT_RETRY, clock, rng: new Rng(seed), budget: new RetryBudget(clock, budget) };
}

/** Fails so many times, then succeeds; keeps when it was called. */
function failing(clock: VirtualClock, times: number, kind: FailureKind, retryAfter?: number) {
  const calledAt: number[] = [];
  const operation = async () => {
    calledAt.push(clock.now());
    if (calledAt.length <= times) throw new StoreFailure(kind, 'no', { retryAfterMs: retryAfter });
    return 'done';
  };
  return { calledAt, operation };
}

const gapsOf = (times: readonly number[]) => times.slice(1).map((at, i) => at - times[i]!);

describe('sending again', () => {
  it('pauses for a time drawn from a range that doubles: the same for the same seed, other for another', async () => {
    const gaps = async (seed: number) => {
      const all = parts(seed);
      const { calledAt, operation } = failing(all.clock, 7, 'server_error');
      expect(await withRetries(all, operation)).toBe('done');
      return gapsOf(calledAt);
    };
    const first = await gaps(1);
    expect(first.filter((gap, i) => gap > 100 * 2 ** i)).toEqual([]);
    expect(await gaps(1)).toEqual(first);
    expect(await gaps(2)).not.toEqual(first);
  });

  it.each([
    ['server_error', 8],
    ['connection', 8],
    ['stalled', 8],
    ['broken_body', 8],
    ['missing', 1],
    ['refused', 1],
    ['changed', 1],
    ['out_of_range', 1],
  ] as const)('gives %s %i attempts', async (kind, attempts) => {
    const all = parts();
    const { calledAt, operation } = failing(all.clock, 1000, kind);
    await expect(withRetries(all, operation)).rejects.toBeInstanceOf(GaveUp);
    expect(calledAt.length).toBe(attempts);
  });

  it('asks one that throttles until the time is up, and as late as it wishes', async () => {
    const all = parts();
    const { calledAt, operation } = failing(all.clock, 1000, 'throttled');
    await expect(withRetries(all, operation)).rejects.toThrow(/the time is up/);
    expect(all.clock.now()).toBeLessThanOrEqual(DEFAULT_RETRY.deadlineMs);
    expect(all.clock.now()).toBeGreaterThan(DEFAULT_RETRY.deadlineMs - DEFAULT_RETRY.maxDelayMs);
    expect(calledAt.length).toBeLessThan(60);
    const polite = parts();
    const waiting = failing(polite.clock, 2, 'throttled', 7000);
    await withRetries(polite, waiting.operation);
    for (const gap of gapsOf(waiting.calledAt)) expect(gap).toBeGreaterThanOrEqual(7000);
  });

  it('counts attempts from the last progress', async () => {
    const all = parts();
    let calls = 0;
    const result = await withRetries(all, async (progressed) => {
      if (++calls % 3 === 0) progressed();
      if (calls < 30) throw new StoreFailure('broken_body', 'no');
      return calls;
    });
    expect(result).toBe(30);
  });

  it('does not storm a store that fails everything: its budget bounds what all operations send', async () => {
    const all = parts();
    let requests = 0;
    const operation = async () => {
      requests++;
      throw new StoreFailure('server_error', 'dead');
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 500 }, () => withRetries(all, operation)));
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    const seconds = all.clock.now() / 1000;
    expect(requests).toBeLessThanOrEqual(500 + 100 + Math.ceil(seconds * 0.5));
    expect(requests).toBeGreaterThan(500);
  });

  it('ends with the signal, and with what is not a failure of the store', async () => {
    const all = parts();
    const controller = new AbortController();
    const { operation } = failing(all.clock, 1000, 'server_error');
    const running = withRetries(all, operation, controller.signal);
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await expect(withRetries(all, () => Promise.reject(new TypeError('bug')))).rejects.toThrow('bug');
  });
});

it('reads what a server wishes', () => {
  expect(retryAfterMs('3')).toBe(3000);
  expect(retryAfterMs('Wed, 21 Oct 2026 07:28:09 GMT', 'Wed, 21 Oct 2026 07:28:00 GMT')).toBe(9000);
  expect([
    retryAfterMs(undefined),
    retryAfterMs('soon'),
    retryAfterMs('Wed, 21 Oct 2026 07:28:09 GMT'),
  ]).toEqual([undefined, undefined, undefined]);
});

describe('the limiter of a prefix', () => {
  /** A server that lets so many requests a second through, of each folder. */
  function throttling(clock: VirtualClock, perSecond: number) {
    const state = { perSecond, burst: 5, sent: [] as number[], refused: 0, tokens: 5, at: 0 };
    const send = async () => {
      const now = clock.now();
      state.tokens = Math.min(state.burst, state.tokens + ((now - state.at) / 1000) * state.perSecond);
      state.at = now;
      state.sent.push(now);
      await clock.sleep(20);
      if (state.tokens >= 1) state.tokens--;
      else {
        state.refused++;
        throw new StoreFailure('throttled', 'SlowDown');
      }
    };
    return { state, send };
  }

  async function fetchAll(count: number, perSecond: number) {
    const all = parts();
    const limiter = new PrefixLimiter(all.clock, 32);
    const { state, send } = throttling(all.clock, perSecond);
    const one = () =>
      withRetries(all, () =>
        limiter.run('shards/x', undefined, async (grant) => {
          try {
            await send();
            grant.succeeded();
          } catch (error) {
            grant.throttled();
            throw error;
          }
        }),
      );
    await Promise.all(Array.from({ length: count }, one));
    return { ...all, limiter, state, one };
  }

  it.each([5, 50, 500])(
    'finds what a server that allows %i a second bears: all arrive, few are refused',
    async (perSecond) => {
      const { state, clock } = await fetchAll(600, perSecond);
      expect(state.sent.length - state.refused).toBe(600);
      expect(state.refused).toBeLessThan(120);
      // Not a third of what could be had is left unused.
      expect(clock.now() / 1000).toBeLessThan((600 / Math.min(perSecond, 32 * 50)) * 1.5 + 3);
    },
  );

  it('leaves no limit behind when the server bears more again', async () => {
    const { limiter, state, one } = await fetchAll(200, 20);
    expect(limiter.ratePerSecond('shards/y')).toBeLessThan(60);
    expect(limiter.ratePerSecond('other/y')).toBe(Number.POSITIVE_INFINITY);
    Object.assign(state, { perSecond: 1e6, burst: 1e6 });
    for (let i = 0; i < 200 && limiter.ratePerSecond('shards/y') < 1e9; i++) {
      await Promise.all(Array.from({ length: 40 }, one));
    }
    expect(limiter.ratePerSecond('shards/y')).toBe(Number.POSITIVE_INFINITY);
  });

  it('waits as long as the server wishes before anything is sent to the prefix', async () => {
    const clock = new VirtualClock();
    const limiter = new PrefixLimiter(clock, 4);
    await limiter.run('a/x', undefined, async (grant) => grant.throttled(30_000));
    const sentAt = await Promise.all(
      ['a/x', 'a/y', 'b/x'].map((key) => limiter.run(key, undefined, async () => clock.now())),
    );
    expect(sentAt[0]).toBeGreaterThanOrEqual(30_000);
    expect(sentAt[1]).toBeGreaterThanOrEqual(30_000);
    expect(sentAt[2]).toBe(0);
  });

  it('forgets folders that are quiet, and whoever gives up waiting', async () => {
    const clock = new VirtualClock();
    const limiter = new PrefixLimiter(clock, 1);
    const controller = new AbortController();
    const busy = limiter.run('a/x', undefined, () => clock.sleep(1000));
    const gone = limiter.run('a/x', controller.signal, async () => 'never');
    controller.abort(new Error('enough'));
    await expect(gone).rejects.toThrow('enough');
    await busy;
    for (let i = 0; i < 1000; i++) await limiter.run(`${i}/x`, undefined, () => clock.sleep(100));
    expect(limiter.size).toBeLessThan(100);
  });
});
