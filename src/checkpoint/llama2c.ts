/**
 * Files of llama2.c, version 0: `.bin` holds seven int32 and then float32 weights in a fixed order, a tokenizer's `.bin` the
 * score and the bytes of every token. Weights get Meta's names, one tensor for each layer. Rows of wq and wk are in Meta's
 * order: adjacent pairs rotate together, as in GGUF's `llama`.
 * @see https://github.com/karpathy/llama2.c run.c memory_map_weights, tokenizer.py
 */
import { DabarexError } from '../base/index.ts';
import { ByteFile, requireRows } from './byte-file.ts';

const HEADER_BYTES = 28;
/** "ak42": what later versions begin with. */
const LATER_MAGIC = 0x616b3432;
/** Beyond what any model has; each layer takes memory for its names. */
const MAX_LAYERS = 4096;
const MAX_TOKENIZER_BYTES = 1 << 28;

export interface Llama2cConfig {
  readonly dim: number;
  readonly hiddenDim: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly vocabSize: number;
  readonly seqLen: number;
  /** one table for embedding and output */
  readonly tied: boolean;
}

interface Llama2cTensor {
  /** row-major, [out, in] */
  readonly shape: readonly number[];
  readonly byteOffset: number;
  readonly sizeBytes: number;
}

export interface Llama2cFile {
  readonly path: string;
  readonly config: Llama2cConfig;
  /** tok_embeddings.weight, layers.N.attention.wq.weight ..., norm.weight, and output.weight unless tied */
  readonly tensors: ReadonlyMap<string, Llama2cTensor>;
  /** @throws checkpoint_mismatch without such a tensor */
  read(name: string): Float32Array<ArrayBuffer>;
  /** Rows of the first dimension, the end excluded. @throws as read */
  readRange(name: string, startRow: number, endRow: number): Float32Array<ArrayBuffer>;
  close(): void;
}

/** @throws file_missing, llama2c_invalid */
export function openLlama2c(path: string): Llama2cFile {
  const file = new ByteFile(path, invalid);
  try {
    const config = readConfig(file);
    const tensors = layOut(config, file);
    return new OpenLlama2c(file, config, tensors);
  } catch (error) {
    file.close();
    throw error;
  }
}

function readConfig(file: ByteFile): Llama2cConfig {
  if (file.sizeBytes < HEADER_BYTES) throw invalid(file.path, `it has only ${file.sizeBytes} bytes`);
  const words = new Int32Array(file.read(0, HEADER_BYTES).buffer);
  const [dim, hiddenDim, numLayers, numHeads, numKvHeads, vocab, seqLen] = words as unknown as number[];
  if (dim === LATER_MAGIC) throw invalid(file.path, `it is of version ${hiddenDim}, not 0`);
  const vocabSize = Math.abs(vocab!);
  const sizes = { dim, hiddenDim, numLayers, numHeads, numKvHeads, vocabSize, seqLen } as Omit<
    Llama2cConfig,
    'tied'
  >;
  for (const [name, value] of Object.entries(sizes)) {
    if (value < 1 || (name === 'numLayers' && value > MAX_LAYERS))
      throw invalid(file.path, `${name} is ${value}`);
  }
  if (sizes.dim % (2 * sizes.numHeads) !== 0 || sizes.numHeads % sizes.numKvHeads !== 0) {
    throw invalid(file.path, `${numHeads} heads and ${numKvHeads} of keys do not divide ${dim} dimensions`);
  }
  return { ...sizes, tied: vocab! > 0 };
}

/** Name and shape of what one layer holds, in the order of the file: each kind for all layers before the next. */
function layerParts({ dim, hiddenDim, numHeads, numKvHeads }: Llama2cConfig): [string, number[]][] {
  const kvDim = (dim / numHeads) * numKvHeads;
  return [
    ['attention_norm', [dim]],
    ['attention.wq', [dim, dim]],
    ['attention.wk', [kvDim, dim]],
    ['attention.wv', [kvDim, dim]],
    ['attention.wo', [dim, dim]],
    ['ffn_norm', [dim]],
    ['feed_forward.w1', [hiddenDim, dim]],
    ['feed_forward.w2', [dim, hiddenDim]],
    ['feed_forward.w3', [hiddenDim, dim]],
  ];
}

function layOut(config: Llama2cConfig, file: ByteFile): Map<string, Llama2cTensor> {
  const { dim, numHeads, numLayers, vocabSize, seqLen, tied } = config;
  const tensors = new Map<string, Llama2cTensor>();
  let end = HEADER_BYTES;
  const skip = (shape: readonly number[]) => {
    const sizeBytes = shape.reduce((a, b) => a * b, 4);
    const byteOffset = end;
    end += sizeBytes;
    // Held against the file for every tensor, so that a lie about layers ends here and not with memory.
    if (end > file.sizeBytes)
      throw invalid(file.path, `its weights go on beyond byte ${file.sizeBytes}, its end`);
    return { shape, byteOffset, sizeBytes };
  };
  tensors.set('tok_embeddings.weight', skip([vocabSize, dim]));
  for (const [name, shape] of layerParts(config)) {
    for (let i = 0; i < numLayers; i++) tensors.set(`layers.${i}.${name}.weight`, skip(shape));
  }
  tensors.set('norm.weight', skip([dim]));
  // Tables of cos and sin, which nobody reads any more.
  skip([2, seqLen, dim / numHeads / 2]);
  if (!tied) tensors.set('output.weight', skip([vocabSize, dim]));
  if (end !== file.sizeBytes)
    throw invalid(file.path, `its weights end at byte ${end}, the file at ${file.sizeBytes}`);
  return tensors;
}

class OpenLlama2c implements Llama2cFile {
  readonly path: string;
  readonly config: Llama2cConfig;
  readonly tensors: ReadonlyMap<string, Llama2cTensor>;
  private readonly file: ByteFile;

  constructor(file: ByteFile, config: Llama2cConfig, tensors: ReadonlyMap<string, Llama2cTensor>) {
    this.path = file.path;
    this.config = config;
    this.tensors = tensors;
    this.file = file;
  }

  read(name: string): Float32Array<ArrayBuffer> {
    return this.readRange(name, 0, this.find(name).shape[0]!);
  }

  readRange(name: string, startRow: number, endRow: number): Float32Array<ArrayBuffer> {
    const { shape, byteOffset, sizeBytes } = this.find(name);
    const rows = shape[0]!;
    requireRows(name, startRow, endRow, rows);
    const rowBytes = sizeBytes / rows;
    const bytes = this.file.read(byteOffset + startRow * rowBytes, (endRow - startRow) * rowBytes);
    return new Float32Array(bytes.buffer);
  }

  close(): void {
    this.file.close();
  }

  private find(name: string): Llama2cTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new DabarexError(
      'checkpoint_mismatch',
      `${this.path} has no tensor "${name}": a llama2.c model has Meta's names. Ask for one of those.`,
      { path: this.path, name },
    );
  }
}

export interface Llama2cToken {
  /** as it stands in the file; a byte token is `<0x0A>` */
  readonly bytes: Uint8Array;
  readonly score: number;
}

/**
 * Tokens by id.
 * @param vocabSize of the model, where it is known: the file does not say it
 * @throws file_missing, llama2c_invalid
 */
export function readLlama2cTokenizer(path: string, vocabSize?: number): Llama2cToken[] {
  const file = new ByteFile(path, invalid);
  try {
    if (file.sizeBytes > MAX_TOKENIZER_BYTES) throw invalid(path, `it has ${file.sizeBytes} bytes`);
    return parseTokens(file.read(0, file.sizeBytes), path, vocabSize);
  } finally {
    file.close();
  }
}

function parseTokens(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  vocabSize: number | undefined,
): Llama2cToken[] {
  const view = new DataView(bytes.buffer);
  const tokens: Llama2cToken[] = [];
  const maxLength = bytes.length >= 4 ? view.getInt32(0, true) : -1;
  if (maxLength < 0) throw invalid(path, 'it does not begin with the length of the longest token');
  let at = 4;
  while (at < bytes.length) {
    const where = `token ${tokens.length} at byte ${at}`;
    if (at + 8 > bytes.length) throw invalid(path, `${where} is cut short`);
    const score = view.getFloat32(at, true);
    const length = view.getInt32(at + 4, true);
    if (length < 0 || length > maxLength || at + 8 + length > bytes.length || Number.isNaN(score)) {
      throw invalid(path, `${where} has ${length} bytes (at most ${maxLength}) and score ${score}`);
    }
    tokens.push({ bytes: bytes.slice(at + 8, at + 8 + length), score });
    at += 8 + length;
  }
  if (vocabSize !== undefined && tokens.length !== vocabSize) {
    throw invalid(path, `it has ${tokens.length} tokens, not ${vocabSize}`);
  }
  return tokens;
}

function invalid(path: string, problem: string): DabarexError {
  return new DabarexError(
    'llama2c_invalid',
    `${path} is no valid file of llama2.c, version 0: ${problem}. Copy it again or use another file.`,
    { path, problem },
  );
}
