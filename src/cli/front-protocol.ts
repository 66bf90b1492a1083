/** Messages between the command's thread and the thread of the HTTP front. Plain data only. */
import type { ErrorData } from '../base/index.ts';
import type { EngineConfig } from '../infer/index.ts';
import type { LoaderOptions } from './engine-loader.ts';

/** What the front's thread starts from. */
export interface FrontSettings {
  readonly host: string;
  /** 0 takes a free one */
  readonly port: number;
  /** the folder of all runs; need not exist yet */
  readonly runsDir: string;
}

export interface ModelToServe {
  /** what clients put into `model` */
  readonly id: string;
  readonly loader: LoaderOptions;
  readonly engine: Partial<EngineConfig>;
}

export type ToFront =
  | { readonly type: 'serve_model'; readonly model: ModelToServe }
  /** the thread ends by itself when this is done */
  | { readonly type: 'close' };

export type FromFront =
  /** once, first; else `failed` */
  | { readonly type: 'listening'; readonly url: string }
  /** the answer to `serve_model`; else `failed` */
  | { readonly type: 'model_ready' }
  | { readonly type: 'failed'; readonly error: ErrorData }
  /** a request whose client was told no more than that the server failed */
  | { readonly type: 'request_failed'; readonly request: string; readonly message: string };
