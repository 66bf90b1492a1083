/**
 * How a file format puts the pieces of a model together: every tensor of a file is some pieces one behind the other, each as it is,
 * turned (transposed), or with the rows of its heads in another order; a tensor may be turned as a whole.
 * Reading undoes what writing does, piece by piece, so that neither needs more memory than a tensor takes.
 */
import { assert } from '../base/index.ts';
import type { Piece } from './pieces.ts';

/** A piece within a tensor. */
export interface Part {
  readonly piece: string;
  /** stored transposed */
  readonly turned?: boolean;
  /**
   * Dim of the heads whose rows are stored in pairs that are rotated together, (0, P/2), (1, P/2 + 1)...: as Meta's Llama,
   * llama2.c and GGUF's `llama` have them.
   */
  readonly pairedHeadDim?: number;
}

/** A tensor of a file. */
export interface StoredTensor {
  readonly name: string;
  /** row-major, the slowest dimension first */
  readonly shape: readonly number[];
  readonly parts: readonly Part[];
  /** all parts together, as rows, stored transposed: GPT-2 keeps its matrices so */
  readonly turned?: boolean;
}

/** Tensors that can be read in ranges. */
export interface TensorSource {
  readonly path: string;
  readonly names: Iterable<string>;
  /** row-major, the slowest dimension first; undefined without such a tensor */
  shapeOf(name: string): readonly number[] | undefined;
  /** Elements start..end of the tensor, flat, as f32. */
  readRange(name: string, start: number, end: number): Float32Array;
}

/** Reads pieces out of a source whose tensors are laid out as `layout` says. */
export class PieceReader {
  private readonly source: TensorSource;
  private readonly places = new Map<string, { tensor: StoredTensor; part: Part; start: number }>();
  private readonly pieces: ReadonlyMap<string, Piece>;
  /** the last tensor that was turned as a whole */
  private turned: { name: string; values: Float32Array } | undefined;

  constructor(source: TensorSource, layout: Iterable<StoredTensor>, pieces: Iterable<Piece>) {
    this.source = source;
    this.pieces = new Map([...pieces].map((piece) => [piece.name, piece]));
    for (const tensor of layout) {
      let start = 0;
      for (const part of tensor.parts) {
        this.places.set(part.piece, { tensor, part, start });
        start += sizeOf(this.shapeOf(part.piece));
      }
      assert(start === sizeOf(tensor.shape), `the parts of ${tensor.name} fill it`);
    }
  }

  /** The values of a piece, in memory of its own. */
  read(name: string): Float32Array {
    const place = this.places.get(name);
    assert(place, `no tensor holds ${name}`);
    const { tensor, part, start } = place;
    const shape = this.shapeOf(name);
    const end = start + sizeOf(shape);
    const stored = tensor.turned
      ? this.unturned(tensor).slice(start, end)
      : this.source.readRange(tensor.name, start, end);
    if (part.turned) return transposed(stored, shape[1]!, shape[0]!);
    return part.pairedHeadDim === undefined ? stored : withRows(stored, shape, unpaired(part.pairedHeadDim));
  }

  private unturned({ name, shape }: StoredTensor): Float32Array {
    if (this.turned?.name !== name) {
      const values = this.source.readRange(name, 0, sizeOf(shape));
      this.turned = { name, values: transposed(values, shape[0]!, shape[1]!) };
    }
    return this.turned.values;
  }

  private shapeOf(piece: string): readonly number[] {
    const found = this.pieces.get(piece);
    assert(found, `the model has no ${piece}`);
    return found.shape;
  }
}

/** The values of a tensor, part after part; what is turned as a whole comes in one. `read` gives the pieces. */
export function* storedValues(
  tensor: StoredTensor,
  pieces: ReadonlyMap<string, Piece>,
  read: (piece: string) => Float32Array,
): Generator<Float32Array> {
  if (tensor.turned) {
    const [columns, rows] = tensor.shape as [number, number];
    const all = new Float32Array(rows * columns);
    let at = 0;
    for (const { piece } of tensor.parts) {
      const values = read(piece);
      all.set(values, at);
      at += values.length;
    }
    yield transposed(all, rows, columns);
    return;
  }
  for (const { piece, turned, pairedHeadDim } of tensor.parts) {
    const values = read(piece);
    const { shape } = pieces.get(piece)!;
    if (turned) yield transposed(values, shape[0]!, shape[1]!);
    else if (pairedHeadDim !== undefined) yield withRows(values, shape, paired(pairedHeadDim));
    else yield values;
  }
}

/** All parts of a tensor as one array; the only part as it is. */
export function joined({ shape }: StoredTensor, parts: Iterable<Float32Array>): Float32Array {
  const size = sizeOf(shape);
  let values: Float32Array | undefined;
  let offset = 0;
  for (const part of parts) {
    if (part.length === size) return part;
    values ??= new Float32Array(size);
    values.set(part, offset);
    offset += part.length;
  }
  return values ?? new Float32Array(0);
}

/** [rows, columns] -> [columns, rows], in blocks that fit the caches. */
function transposed(x: Float32Array, rows: number, columns: number): Float32Array {
  const BLOCK = 32;
  const y = new Float32Array(x.length);
  for (let r0 = 0; r0 < rows; r0 += BLOCK) {
    const r1 = Math.min(rows, r0 + BLOCK);
    for (let c0 = 0; c0 < columns; c0 += BLOCK) {
      const c1 = Math.min(columns, c0 + BLOCK);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) y[c * rows + r] = x[r * columns + c]!;
      }
    }
  }
  return y;
}

/** Rows (or entries) in another order: row r is row `from(r)` of x. */
function withRows(x: Float32Array, shape: readonly number[], from: (row: number) => number): Float32Array {
  const rows = shape[0]!;
  const width = x.length / rows;
  const y = new Float32Array(x.length);
  for (let r = 0; r < rows; r++) y.set(x.subarray(from(r) * width, (from(r) + 1) * width), r * width);
  return y;
}

/** Of the stored row: where it stands among ours. */
function paired(headDim: number): (row: number) => number {
  return (row) => {
    const within = row % headDim;
    return row - within + (within % 2) * (headDim / 2) + Math.floor(within / 2);
  };
}

/** Of our row: where it is stored. */
function unpaired(headDim: number): (row: number) => number {
  const half = headDim / 2;
  return (row) => {
    const within = row % headDim;
    return row - within + 2 * (within % half) + Math.floor(within / half);
  };
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
