/**
 * A model small enough to know by heart, for the tests of what stands around a model: its logits are a hash of all the
 * tokens its cache holds, so a lost, doubled or foreign row changes the text. Not a neural network: model.test.ts here
 * runs the same front over a real one.
 */
import type { InferenceModel, KvCache, TextCodec } from '../../src/infer/index.ts';

const NAMES = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
export const END_OF_TEXT = 256;
const IM_END = 258;

/** One token per byte, and three special ones. */
export function byteCodec(chat = true): TextCodec {
  const bytes = (text: string) => [...Buffer.from(text, 'utf8')];
  const codec: TextCodec = {
    encode: bytes,
    tokenBytes: (id) => (id < 256 ? Uint8Array.of(id) : Buffer.from(NAMES[id - 256] ?? '')),
    isSpecial: (id) => id >= 256,
    endOfTextId: END_OF_TEXT,
    stopIds: [END_OF_TEXT, IM_END],
    maxTokenBytes: 1,
  };
  if (!chat) return codec;
  const turn = (role: string, content: string) => [257, ...bytes(`${role}\n${content}`)];
  return {
    ...codec,
    encodeChat: (messages) => [
      ...messages.flatMap(({ role, content }) => [...turn(role, content), IM_END, 10]),
      ...turn('assistant', ''),
    ],
  };
}

export interface ToyOptions {
  readonly maxSeqLen?: number;
  /** logit of the end-of-text token; the letters' lie in 0..4 */
  readonly endLogit?: number;
  /** busy time of a step */
  readonly stepMs?: number;
  /** says these bytes and then ends, whatever the prompt; from the first token after it */
  readonly script?: string;
  /** breaks (throws) once a sequence has this many tokens */
  readonly failAt?: number;
  /** gives NaN instead of logits */
  readonly nan?: boolean;
  /** gives NaN after the token at this position */
  readonly nanAt?: number;
}

interface ToyCache extends KvCache {
  readonly hashes: Int32Array[];
  readonly filled: Int32Array;
}

export class ToyModel implements InferenceModel {
  readonly vocabSize = 259;
  readonly maxSeqLen: number;
  /** rows of each step so far */
  readonly steps: number[] = [];
  private readonly options: ToyOptions;
  private readonly script: Uint8Array | undefined;

  constructor(options: ToyOptions = {}) {
    this.options = options;
    this.maxSeqLen = options.maxSeqLen ?? 256;
    this.script = options.script === undefined ? undefined : Buffer.from(options.script);
  }

  createCache(slots: number, length: number): ToyCache {
    const hashes = Array.from({ length: slots }, () => new Int32Array(length));
    return { slots, length, hashes, filled: new Int32Array(slots) };
  }

  forward(
    cache: KvCache,
    ids: Int32Array,
    slots: Int32Array,
    positions: Int32Array,
    logitRows: Int32Array,
  ): Float32Array {
    const { hashes, filled } = cache as ToyCache;
    for (let row = 0; row < ids.length; row++) {
      const position = positions[row];
      const slot = slots[row];
      if (position !== 0 && filled[slot] !== position) throw new Error(`slot ${slot} lacks row ${position}`);
      if (position === this.options.failAt) throw new Error('the toy broke');
      const before = position === 0 ? 17 : hashes[slot][position - 1];
      hashes[slot][position] = mix(before ^ ids[row]);
      filled[slot] = position + 1;
    }
    this.steps.push(ids.length);
    busyFor(this.options.stepMs ?? 0);
    const logits = new Float32Array(logitRows.length * this.vocabSize);
    logitRows.forEach((row, i) => {
      this.fill(
        logits.subarray(i * this.vocabSize, (i + 1) * this.vocabSize),
        hashes[slots[row]][positions[row]],
        {
          id: ids[row],
          position: positions[row],
        },
      );
    });
    return logits;
  }

  private fill(logits: Float32Array, hash: number, last: { id: number; position: number }): void {
    if (this.options.nan || last.position === this.options.nanAt) logits.fill(Number.NaN);
    else if (this.script) this.recite(logits, last);
    else {
      logits.fill(-20);
      for (let id = 97; id < 123; id++) logits[id] = ((mix(hash + id) >>> 8) / 2 ** 24) * 4;
      logits[32] = 3;
      logits[END_OF_TEXT] = this.options.endLogit ?? -20;
    }
  }

  /** The prompt of a script is one token long, so the position tells how far it is. */
  private recite(logits: Float32Array, { position }: { position: number }): void {
    logits[this.script![position] ?? END_OF_TEXT] = 50;
  }
}

function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  return x ^ (x >>> 16);
}

function busyFor(ms: number): void {
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** The loader an engine worker imports. */
export async function load(options: ToyOptions & { chat?: boolean; refuse?: boolean }) {
  if (options.refuse) throw new Error('the toy refuses to load');
  return { model: new ToyModel(options), codec: byteCodec(options.chat) };
}
