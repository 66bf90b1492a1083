export { parseConfig } from './config.ts';
export { assert, DabarexError, ERROR_CODES, type ErrorCode, type ErrorFields } from './errors.ts';
