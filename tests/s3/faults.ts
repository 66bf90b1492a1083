/** What the test server does wrong, on demand: rules that pick requests by method, key and count, and a limit of requests per second and prefix. */

export type FaultKind =
  /** HTTP 500 InternalError */
  | 'error'
  /** HTTP 503 SlowDown */
  | 'slowdown'
  /** the connection is closed before an answer */
  | 'reset'
  /** half of the body (or `bytes` of it), then the connection is closed */
  | 'truncate'
  /** as much, then silence, the connection open */
  | 'stall'
  /** the body in pieces of `bytes`, with a pause between them */
  | 'slow'
  /** a range that begins one byte later than the one asked for */
  | 'wrong-range'
  /** an ETag of its own for each answer, as if the object were replaced all the time */
  | 'wrong-etag'
  /** one byte of the body is another */
  | 'corrupt';

export interface FaultRule {
  readonly kind: FaultKind;
  readonly method?: string;
  readonly key?: RegExp;
  /** the first so many that match; all unless told */
  readonly times?: number;
  /** each such one that matches */
  readonly every?: number;
  readonly bytes?: number;
  readonly retryAfterSeconds?: number;
}

export interface Throttle {
  /** requests per second to one folder, averaged; more get 503 SlowDown */
  readonly perSecond: number;
  readonly burst: number;
}

export class Faults {
  private rules: { rule: FaultRule; seen: number }[] = [];
  private throttle: Throttle | undefined;
  private buckets = new Map<string, { tokens: number; at: number }>();

  add(...rules: FaultRule[]): void {
    this.rules.push(...rules.map((rule) => ({ rule, seen: 0 })));
  }

  throttleTo(throttle: Throttle): void {
    this.throttle = throttle;
  }

  clear(): void {
    this.rules = [];
    this.throttle = undefined;
    this.buckets.clear();
  }

  /** The fault for this request, if any. Every rule that matches counts it. */
  next(method: string, key: string): FaultRule | undefined {
    let chosen: FaultRule | undefined;
    for (const each of this.rules) {
      const { rule } = each;
      if (rule.method && rule.method !== method) continue;
      if (rule.key && !rule.key.test(key)) continue;
      const number = ++each.seen;
      const isDue = number <= (rule.times ?? Number.POSITIVE_INFINITY) && number % (rule.every ?? 1) === 0;
      if (isDue) chosen ??= rule;
    }
    return chosen;
  }

  /** Whether the key's folder has had its requests for now. */
  isThrottled(key: string, nowMs: number): boolean {
    if (!this.throttle) return false;
    const { perSecond, burst } = this.throttle;
    const prefix = key.slice(0, key.lastIndexOf('/') + 1);
    const bucket = this.buckets.get(prefix) ?? { tokens: burst, at: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.at) / 1000) * perSecond);
    bucket.at = nowMs;
    this.buckets.set(prefix, bucket);
    if (bucket.tokens < 1) return true;
    bucket.tokens--;
    return false;
  }
}
