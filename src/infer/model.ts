/**
 * What inference needs of its neighbours: a model that runs rows of tokens against a key/value cache, and a codec
 * between text and token ids. `model` and `tokenizer` provide objects of these shapes; tests provide small ones.
 */

/** Keys and values of the sequences being generated. Opaque: only the model that made it reads it. */
export interface KvCache {
  readonly slots: number;
  /** tokens one slot holds */
  readonly length: number;
}

/** A causal language model, run forward only. */
export interface InferenceModel {
  readonly vocabSize: number;
  readonly maxSeqLen: number;
  /** A cache for `slots` sequences of `length` tokens each. */
  createCache(slots: number, length: number): KvCache;
  /**
   * Runs rows of tokens, any mix of prefill chunks and single decoded tokens: row r is token `ids[r]` at
   * `positions[r]` of slot `slots[r]`. Rows of one slot stand together, in order of position, and follow what the
   * cache already holds of it. Writing position 0 starts the slot anew.
   * @returns logits [logitRows.length, vocabSize] of the given rows, valid until the next call
   */
  forward(
    cache: KvCache,
    ids: Int32Array,
    slots: Int32Array,
    positions: Int32Array,
    logitRows: Int32Array,
  ): Float32Array;
}

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** Text to token ids and back, byte-exact. */
export interface TextCodec {
  /** Ids of plain text; the names of special tokens in it are text like any other. */
  encode(text: string): ArrayLike<number>;
  /** The bytes of a token; of a special token, the bytes of its name. Ids past the vocabulary give no bytes. */
  tokenBytes(id: number): Uint8Array;
  isSpecial(id: number): boolean;
  /** separates documents; also what an empty prompt starts from */
  readonly endOfTextId: number;
  /** ids that end a generation: end of text, end of a chat turn */
  readonly stopIds: readonly number[];
  /** of the longest token: bounds from below how many tokens a text has, before it is encoded */
  readonly maxTokenBytes: number;
  /** Ids of a conversation up to and including the opening of the assistant's turn; absent without a chat template. */
  encodeChat?(messages: readonly ChatMessage[]): ArrayLike<number>;
}
