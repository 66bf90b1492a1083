/** Tensors of a file, told by their names and the pieces they hold; shapes follow from the pieces. */
import { assert } from '../../base/index.ts';
import type { ModelConfig } from '../config.ts';
import { piecesOf } from '../pieces.ts';
import type { Part, StoredTensor } from '../weight-map.ts';

/** Collects the tensors of one model. */
export class LayoutBuilder {
  readonly tensors: StoredTensor[] = [];
  readonly config: ModelConfig;
  private readonly shapes: ReadonlyMap<string, readonly number[]>;

  constructor(config: ModelConfig) {
    this.config = config;
    this.shapes = new Map([...piecesOf(config)].map(({ name, shape }) => [name, shape]));
  }

  has(piece: string): boolean {
    return this.shapes.has(piece);
  }

  /** One piece as it is. */
  add(name: string, piece: string): void {
    this.tensors.push({ name, shape: this.shape(piece), parts: [{ piece }] });
  }

  /** A matrix or a norm's scale as NAME.weight, and NAME.bias where the model has one. */
  addWithBias(name: string, piece: string): void {
    this.add(`${name}.weight`, piece);
    if (this.has(`${piece}.bias`)) this.add(`${name}.bias`, `${piece}.bias`);
  }

  /** A vector under a name, as a matrix of one row, or the other way round. */
  addAs(name: string, piece: string, shape: readonly number[]): void {
    this.tensors.push({ name, shape, parts: [{ piece }] });
  }

  /** One piece transposed. */
  addTurned(name: string, piece: string): void {
    const [rows, columns] = this.shape(piece) as [number, number];
    this.tensors.push({ name, shape: [columns, rows], parts: [{ piece, turned: true }] });
  }

  /** Rows (or entries) of several pieces one after the other; `turned` as a whole. */
  addJoined(name: string, pieces: readonly string[], turned = false): void {
    const shapes = pieces.map((piece) => this.shape(piece));
    const rows = shapes.reduce((sum, shape) => sum + shape[0]!, 0);
    const shape = [rows, ...shapes[0]!.slice(1)];
    this.tensors.push({ name, shape: turned ? shape.reverse() : shape, parts: partsOf(pieces), turned });
  }

  /** Matrices of all experts, [E, rows, columns]; `turned` each. */
  addStacked(name: string, pieces: readonly string[], turned = false): void {
    const [rows, columns] = this.shape(pieces[0]!) as [number, number];
    const shape = [pieces.length, ...(turned ? [columns, rows] : [rows, columns])];
    this.tensors.push({ name, shape, parts: pieces.map((piece) => ({ piece, turned })) });
  }

  /** A piece whose heads' rows are stored in pairs. */
  addPaired(name: string, piece: string, pairedHeadDim: number): void {
    this.tensors.push({ name, shape: this.shape(piece), parts: [{ piece, pairedHeadDim }] });
  }

  private shape(piece: string): readonly number[] {
    const shape = this.shapes.get(piece);
    assert(shape, `the model has no ${piece}`);
    return shape;
  }
}

/** A layout that begins with what every GGUF architecture calls the same: the tables and the last norm. */
export function ggufLayout(config: ModelConfig): LayoutBuilder {
  const layout = new LayoutBuilder(config);
  layout.add('token_embd.weight', 'embedding');
  layout.addWithBias('output_norm', 'norm_f');
  if (!config.tieEmbeddings) layout.add('output.weight', 'head');
  return layout;
}

/** Names `part` of every expert of a layer: `blocks.0.experts.3.gate`. */
export function expertsOf({ ffn }: ModelConfig, block: string, part: string): string[] {
  return Array.from({ length: ffn.numExperts }, (_, e) => `${block}.experts.${e}.${part}`);
}

function partsOf(pieces: readonly string[]): Part[] {
  return pieces.map((piece) => ({ piece }));
}
