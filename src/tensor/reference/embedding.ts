/** Rows of a table by id, and the gradient of the table: every row of dy is added to the row it was read from. */
import type { FloatArray, TransformerKernels } from '../kernels.ts';
import { checkIndices, checkLength, checkSize } from './lengths.ts';

function embeddingForward(
  y: FloatArray,
  table: FloatArray,
  ids: Int32Array,
  rows: number,
  dim: number,
): void {
  check(table, ids, y, rows, dim);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < dim; i++) y[r * dim + i] = table[ids[r] * dim + i];
  }
}

function embeddingBackward(
  dtable: FloatArray,
  ids: Int32Array,
  dy: FloatArray,
  rows: number,
  dim: number,
): void {
  check(dtable, ids, dy, rows, dim);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < dim; i++) dtable[ids[r] * dim + i] += dy[r * dim + i];
  }
}

function check(table: FloatArray, ids: Int32Array, matrix: FloatArray, rows: number, dim: number): void {
  checkSize('rows', rows);
  checkSize('dim', dim);
  checkLength('ids', ids, rows);
  checkLength('the [rows, dim] argument', matrix, rows * dim);
  checkLength('table', table, dim === 0 ? 0 : Math.floor(table.length / dim) * dim);
  checkIndices('ids', ids, dim === 0 ? 2 ** 31 : table.length / dim);
}

export const embeddingKernels: Pick<TransformerKernels, 'embeddingForward' | 'embeddingBackward'> = {
  embeddingForward,
  embeddingBackward,
};
