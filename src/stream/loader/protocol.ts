/** Messages between the thread that trains and the one that reads batches ahead. Plain data only. */
import type { ErrorData } from '../../base/index.ts';
import type { Batch } from '../batch.ts';
import type { DataState } from '../data-state.ts';
import type { OrderConfig } from '../mosaic/order-config.ts';
import type { Mix } from '../places.ts';
import type { RemoteOptions } from './remote-streams.ts';
import type { TextPlace } from './text-streams.ts';

/** What the thread starts from. */
export interface LoaderSettings {
  /** domain -> folder of its token shards, or the URL of that folder in a store; or text files */
  readonly streams: Readonly<Record<string, string | TextPlace>>;
  /** a tokenizer.json, for text files */
  readonly tokenizerJson?: string;
  readonly seed: number;
  /** token that ends a document */
  readonly endOfText: number;
  readonly vocabSize?: number;
  /** default: shuffled in blocks */
  readonly order?: OrderConfig;
  /** sequences a step: what MosaicML's orders are made of, needed for one of them */
  readonly batchSequences?: number;
  /** documents of varying length are packed; absent: every sample is a sequence */
  readonly packing?: { readonly windowSamples: number; readonly sequenceLength: number };
  /** needed where a stream is remote */
  readonly remote?: RemoteOptions;
  /** mixes to come, checked when the data is opened rather than when they begin */
  readonly mixes: readonly Mix[];
}

export type ToLoader =
  | {
      readonly type: 'draw';
      /** counts up, never used twice */
      readonly id: number;
      /** undefined: as before */
      readonly mix: Mix | undefined;
      readonly numSequences: number;
      readonly sequenceLength: number;
    }
  /** back to where the data stood before draw `id`, which may not have happened yet; of those sent before nothing else is wanted */
  | { readonly type: 'rewind'; readonly id: number }
  | { readonly type: 'restore'; readonly state: DataState }
  | { readonly type: 'close' };

export type FromLoader =
  | { readonly type: 'open'; readonly state: DataState }
  | { readonly type: 'open_failed'; readonly error: ErrorData }
  | { readonly type: 'batch'; readonly id: number; readonly batch: Batch; readonly state: DataState }
  | { readonly type: 'draw_failed'; readonly id: number; readonly error: ErrorData };
