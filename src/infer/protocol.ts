/** Messages between the thread that speaks HTTP and the thread that runs the model. Plain data only. */
import type { ErrorData } from '../base/index.ts';
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
