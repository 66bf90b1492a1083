/** Errors on their way from one thread to another, as plain data. */
import { DabarexError, ERROR_CODES, type ErrorCode, type ErrorFields } from './errors.ts';

/** An error as plain data; `code` is absent where it was not a {@link DabarexError}. */
export interface ErrorData {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly fields: ErrorFields;
  readonly stack?: string;
}

export function errorToData(error: unknown): ErrorData {
  if (!(error instanceof Error)) return { message: String(error), fields: {} };
  const { message, stack } = error;
  return error instanceof DabarexError
    ? { code: error.code, message, fields: error.fields, stack }
    : { message, fields: {}, stack };
}

/** The error in this thread, with the stack it had in the other. */
export function errorFromData({ code, message, fields, stack }: ErrorData): Error {
  const known = code !== undefined && ERROR_CODES.includes(code);
  const error = known ? new DabarexError(code, message, fields) : new Error(message);
  return stack === undefined ? error : Object.assign(error, { stack });
}
