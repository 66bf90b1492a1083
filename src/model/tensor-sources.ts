/** Files as sources of tensors. Names and shapes are checked by {@link layoutOf}, values are read when they are asked for. */
import { checkTensors, type GgufFile, type Llama2cFile, type SafetensorsFile } from '../checkpoint/index.ts';
import type { ModelConfig } from './config.ts';
import type { Layout } from './families/formats.ts';
import type { StoredTensor, TensorSource } from './weight-map.ts';

interface Described {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>;
}

abstract class FileSource<F extends Described> implements TensorSource {
  readonly path: string;
  protected readonly file: F;

  constructor(file: F) {
    this.path = file.path;
    this.file = file;
  }

  get names(): Iterable<string> {
    return this.file.tensors.keys();
  }

  shapeOf(name: string): readonly number[] | undefined {
    return this.file.tensors.get(name)?.shape;
  }

  abstract readRange(name: string, start: number, end: number): Float32Array;
}

/** Safetensors, one file or a folder of them. */
export class SafetensorsSource extends FileSource<SafetensorsFile> {
  readRange(name: string, start: number, end: number): Float32Array {
    return this.file.readRange(name, start, end);
  }
}

/** Files that are read by rows: of the last dimension (GGUF), or of the first (llama2.c). */
export class RowSource extends FileSource<GgufFile | Llama2cFile> {
  private readonly rowsAre: 'last dimension' | 'all but the first';

  constructor(file: GgufFile | Llama2cFile, rowsAre: 'last dimension' | 'all but the first') {
    super(file);
    this.rowsAre = rowsAre;
  }

  readRange(name: string, start: number, end: number): Float32Array {
    const shape = this.shapeOf(name)!;
    const width =
      this.rowsAre === 'last dimension'
        ? (shape.at(-1) ?? 1)
        : shape.slice(1).reduce((product, size) => product * size, 1);
    const [first, last] = [Math.floor(start / width), Math.ceil(end / width)];
    const rows = this.file.readRange(name, first, last);
    const from = start - first * width;
    return from === 0 && rows.length === end - start ? rows : rows.slice(from, from + end - start);
  }
}

/** What other programs keep in their files and no model needs. */
const BUFFERS = /\.(rotary_emb\.inv_freq|attn\.(masked_)?bias)$|^rope_freqs\.weight$|^rope\.(cos|sin)$/;

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
