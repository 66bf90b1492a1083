/**
 * What goes wrong between us and a store, in one table: what is tried again, what it costs, and what the user is told in the end.
 * Back ends say what happened as a {@link StoreFailure}; nothing above them looks at a status or an error's name.
 */
import { DabarexError, type ErrorCode } from '../base/index.ts';

/** How one kind of failure is treated. */
interface Treatment {
  /** sent again, after a pause */
  readonly retried: boolean;
  /** uses up one of the operation's attempts; what does not is bounded by the operation's deadline alone */
  readonly countsAttempt: boolean;
  /** takes from the store's budget of retries, which is what keeps a dead server from being stormed */
  readonly takesBudget: boolean;
  /** slows down all requests of the same prefix */
  readonly slowsPrefix: boolean;
  readonly code: ErrorCode;
  readonly remedy: string;
}

const UNREACHABLE = {
  code: 'store_unreachable',
  remedy: 'Check the network, the address and the server, then run again: what was fetched is kept.',
} as const;
const AGAIN = { retried: true, countsAttempt: true, takesBudget: true, slowsPrefix: false } as const;
const NEVER = { retried: false, countsAttempt: true, takesBudget: false, slowsPrefix: false } as const;

// biome-ignore format: a table
export const TREATMENTS = {
  /** 429, 503, SlowDown and its like: the server works and asks for fewer requests */
  throttled:    { retried: true, countsAttempt: false, takesBudget: false, slowsPrefix: true, ...UNREACHABLE },
  /** 408, 500, 502, 504, clocks that differ (the client corrects its own by the answer) */
  server_error: { ...AGAIN, ...UNREACHABLE },
  /** refused, reset, no such host, no answer */
  connection:   { ...AGAIN, ...UNREACHABLE },
  /** no byte for the stall timeout */
  stalled:      { ...AGAIN, ...UNREACHABLE },
  /** body shorter than announced, a range other than the one asked for */
  broken_body:  { ...AGAIN, ...UNREACHABLE },
  /** another version under the same name: begun anew by who holds the bytes, not by the request */
  changed:      { ...NEVER, code: 'object_changed', remedy: 'Let whoever writes it finish, then run again.' },
  /** 404 */
  missing:      { ...NEVER, code: 'object_missing', remedy: 'Check the URL, and that the upload was finished.' },
  /** a range that begins beyond the object's end */
  out_of_range: { ...NEVER, code: 'object_corrupt', remedy: 'The object is shorter than it should be: upload it again.' },
  /** 401, 403, other 4xx, no credentials, a certificate that is not trusted */
  refused:      { ...NEVER, code: 'store_refused', remedy: 'Check credentials, permissions, region and endpoint (docs/storage.md).' },
} as const satisfies Record<string, Treatment>;

export type FailureKind = keyof typeof TREATMENTS;

export interface FailureDetail {
  readonly status?: number;
  /** how long the server wants to be left alone */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** One request that failed. `reason` is for people: no credentials, no query of an address. */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure';
  readonly kind: FailureKind;
  readonly reason: string;
  readonly detail: FailureDetail;

  constructor(kind: FailureKind, reason: string, detail: FailureDetail = {}) {
    super(`${kind}: ${reason}`, { cause: detail.cause });
    this.kind = kind;
    this.reason = reason;
    this.detail = detail;
  }
}

/** The failure as the user meets it, with what was tried. */
export function failureError(failure: StoreFailure, url: string, tried: string): DabarexError {
  const { code, remedy } = TREATMENTS[failure.kind];
  return new DabarexError(
    code,
    `${url}: ${failure.reason}${tried}. ${remedy}`,
    { url, reason: failure.kind, status: failure.detail.status },
    { cause: failure },
  );
}

const STATUS_KINDS: ReadonlyMap<number, FailureKind> = new Map([
  [404, 'missing'],
  [408, 'server_error'],
  [412, 'changed'],
  [416, 'out_of_range'],
  [429, 'throttled'],
  [501, 'refused'],
  [503, 'throttled'],
  [505, 'refused'],
]);

/** What a status means where nothing more is known. */
export function kindOfStatus(status: number): FailureKind {
  return STATUS_KINDS.get(status) ?? (status >= 500 ? 'server_error' : 'refused');
}

/** Errors of certificates: sending again does not help. */
const UNTRUSTED = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(GET|VERIFY))/;
const CONNECTION =
  /^(ECONN|EPIPE|ETIMEDOUT|EAI_|ENOTFOUND|EHOST|ENET|EADDR|EPROTO|UND_ERR_|ERR_SSL|ERR_STREAM|HPE_)/;

/**
 * What an error of the network stack means; undefined where it is none.
 * @param error may wrap the one that tells (fetch does)
 */
export function networkFailure(error: unknown): StoreFailure | undefined {
  for (let each = error, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth++) {
    const { code = '', message, name } = each as NodeJS.ErrnoException;
    if (UNTRUSTED.test(code)) return new StoreFailure('refused', `${code}: ${message}`, { cause: error });
    const isConnection =
      CONNECTION.test(code) || name === 'TimeoutError' || /socket hang up|aborted/.test(message);
    if (isConnection) return new StoreFailure('connection', firstLine(code || message), { cause: error });
  }
  return undefined;
}

/** Seconds or a date in a Retry-After header, as milliseconds from `nowEpochMs`. */
export function retryAfterMs(
  header: string | null | undefined,
  dateHeader?: string | null,
): number | undefined {
  if (!header) return undefined;
  if (/^\d+(\.\d+)?$/.test(header.trim())) return Number(header) * 1000;
  // A date counts from the server's own clock, which its answer tells, so ours need not be right.
  const wait = Date.parse(header) - Date.parse(dateHeader ?? '');
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

function firstLine(text: string): string {
  return text.split('\n')[0]!;
}
