/**
 * Errors as OpenAI's clients expect them: `{error: {message, type, param, code}}` with a status. Clients retry 408, 409,
 * 429 and 5xx, so what the caller must mend is never a 5xx. An error of our own is logged whole and shown as one line.
 */
import { DabarexError, type ErrorCode } from '../base/index.ts';

export interface ApiError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: {
    readonly error: {
      readonly message: string;
      readonly type: string;
      readonly param: string | null;
      readonly code: string | null;
    };
  };
}

const STATUS: Partial<Record<ErrorCode, { status: number; retryAfterSeconds?: number }>> = {
  request_invalid: { status: 400 },
  chat_invalid: { status: 400 },
  context_length_exceeded: { status: 400 },
  host_not_allowed: { status: 403 },
  model_not_found: { status: 404 },
  server_overloaded: { status: 503, retryAfterSeconds: 1 },
  model_not_ready: { status: 503, retryAfterSeconds: 10 },
  engine_stopped: { status: 503 },
};

/** What Fastify itself finds wrong before a handler runs. */
interface HttpError extends Error {
  readonly statusCode?: number;
}

/** Fastify says of it only `Unsupported Media Type`. */
const WANTS_JSON = 'The request body must be JSON: send it with the header "content-type: application/json".';

/** Any error as a response. Only coded errors and refusals by status tell their message. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof DabarexError) return fromCoded(error);
  const status = (error as HttpError)?.statusCode;
  if (status !== undefined && status >= 400 && status < 500) {
    const message = status === 415 ? WANTS_JSON : (error as Error).message;
    return apiError(
      status,
      'invalid_request_error',
      message,
      status === 404 ? 'not_found' : 'request_invalid',
    );
  }
  const message = 'The server failed to answer this request; its log says why.';
  return apiError(500, 'server_error', message, 'server_error');
}

function fromCoded(error: DabarexError): ApiError {
  const { status, retryAfterSeconds } = STATUS[error.code] ?? { status: 500 };
  const type = status < 500 ? 'invalid_request_error' : 'server_error';
  const param = typeof error.fields.param === 'string' ? error.fields.param : null;
  const headers: Record<string, string> =
    retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  return apiError(status, type, error.message, error.code, param, headers);
}

function apiError(
  status: number,
  type: string,
  message: string,
  code: string | null,
  param: string | null = null,
  headers: Record<string, string> = {},
): ApiError {
  return { status, headers, body: { error: { message, type, param, code } } };
}
