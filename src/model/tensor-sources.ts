/** Files as sources of tensors. Names and shapes are checked by {@link layoutOf}, values are read when they are asked for. */
import { checkTensors, type GgufFile, type SafetensorsFile } from '../checkpoint/index.ts';
import type { ModelConfig } from './config.ts';
import type { Layout } from './families/formats.ts';
import type { StoredTensor, TensorSource } from './weight-map.ts';

/** Of Hugging Face's folders: all of a tensor is read, and kept until another is asked for. */
export class SafetensorsSource implements TensorSource {
  readonly path: string;
  private readonly file: SafetensorsFile;
  private last: { name: string; values: Float32Array } | undefined;

  constructor(file: SafetensorsFile) {
    this.file = file;
    this.path = file.path;
  }

  get names(): Iterable<string> {
    return this.file.tensors.keys();
  }

  shapeOf(name: string): readonly number[] | undefined {
    return this.file.tensors.get(name)?.shape;
  }

  readRange(name: string, start: number, end: number): Float32Array {
    if (this.last?.name !== name) this.last = { name, values: this.file.read(name) };
    return this.last.values.slice(start, end);
  }
}

/** Of GGUF files: read by rows. */
export class GgufSource implements TensorSource {
  readonly path: string;
  private readonly file: GgufFile;

  constructor(file: GgufFile) {
    this.file = file;
    this.path = file.path;
  }

  get names(): Iterable<string> {
    return this.file.tensors.keys();
  }

  shapeOf(name: string): readonly number[] | undefined {
    return this.file.tensors.get(name)?.shape;
  }

  readRange(name: string, start: number, end: number): Float32Array {
    const width = this.shapeOf(name)!.at(-1) ?? 1;
    const [first, last] = [Math.floor(start / width), Math.ceil(end / width)];
    const rows = this.file.readRange(name, first, last);
    const from = start - first * width;
    return from === 0 && rows.length === end - start ? rows : rows.slice(from, from + end - start);
  }
}

/** What loaders of other programs keep in files and no model needs. */
const BUFFERS = /\.(rotary_emb\.inv_freq|attn\.(masked_)?bias)$|^rope_freqs\.weight$/;

/**
 * The way the file stores this model.
 * @throws checkpoint_mismatch naming the first differences to the first layout, where it is none of them
 */
export function layoutOf(
  source: TensorSource,
  layouts: readonly [Layout, ...Layout[]],
  config: ModelConfig,
): StoredTensor[] {
  for (const each of layouts) {
    const layout = each(config);
    if (layout.every(({ name, shape }) => String(source.shapeOf(name)) === String(shape))) {
      checkNames(source, layout);
      return layout;
    }
  }
  const layout = layouts[0](config);
  checkNames(source, layout);
  return layout;
}

function checkNames(source: TensorSource, layout: readonly StoredTensor[]): void {
  const found = new Map<string, readonly number[]>();
  for (const name of source.names) if (!BUFFERS.test(name)) found.set(name, source.shapeOf(name)!);
  checkTensors(source.path, found, new Map(layout.map(({ name, shape }) => [name, shape])));
}
