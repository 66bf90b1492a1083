/** A transformer as the inference engine sees it: token rows in, logits out. */
import { Tape } from '../tensor/index.ts';
import { createKvCache, type KvCache } from './cache.ts';
import type { Transformer } from './transformer.ts';

export class Generator {
  readonly vocabSize: number;
  readonly maxSeqLen: number;
  private readonly model: Transformer;
  private readonly tape: Tape;

  constructor(model: Transformer) {
    this.model = model;
    this.vocabSize = model.config.vocabSize;
    this.maxSeqLen = model.config.maxSeqLen;
    this.tape = new Tape(model.kernels, { recording: false });
  }

  createCache(slots: number, length: number): KvCache {
    return createKvCache(this.model.config, this.model.kernels, slots, Math.min(length, this.maxSeqLen));
  }

  /**
   * Row r is token ids[r] at positions[r] of cache slot slots[r]; prefill and decode rows may be mixed, a slot's rows
   * in order. Returns logits [logitRows.length, vocabSize] of the rows asked for, valid until the next call.
   */
  forward(
    cache: KvCache,
    ids: Int32Array,
    slots: Int32Array,
    positions: Int32Array,
    logitRows: Int32Array,
  ): Float32Array {
    this.tape.reset();
    const rows = { kind: 'cached', positions, slots, cacheLength: cache.length } as const;
    return this.model.forwardCached(this.tape, ids, rows, cache, logitRows) as Float32Array;
  }
}
