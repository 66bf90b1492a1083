/** Messages between the thread that speaks HTTP and the thread that runs the model. Plain data only. */
import { DabarexError, ERROR_CODES, type ErrorCode, type ErrorFields } from '../base/index.ts';
import type { EngineConfig } from './engine.ts';
import type { InferenceModel, TextCodec } from './model.ts';
import type { EngineInfo, GenerateEvent, GenerateRequest } from './request.ts';

/** What a worker starts from. */
export interface WorkerSettings {
  /** URL of a module that exports `load`, a {@link LoadModel} */
  readonly loader: string;
  /** handed to `load` as it is */
  readonly loaderOptions: unknown;
  readonly engine: Partial<EngineConfig>;
}

/** Makes the model and its codec inside the worker. */
export type LoadModel = (options: never) => Promise<{ model: InferenceModel; codec: TextCodec }>;

export type ToWorker =
  | { readonly type: 'generate'; readonly id: number; readonly request: GenerateRequest }
  | { readonly type: 'cancel'; readonly id: number };

export type FromWorker =
  | { readonly type: 'ready'; readonly info: EngineInfo }
  | { readonly type: 'load_failed'; readonly error: ErrorData }
  | { readonly type: 'events'; readonly events: readonly WorkerEvent[] };

/** What happened to request `id`; after `finished` or an error nothing follows. */
export interface WorkerEvent {
  readonly id: number;
  readonly event?: GenerateEvent;
  readonly error?: ErrorData;
}

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
