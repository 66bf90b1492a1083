/** Rows of a table by id. */
import type { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/** [R, D] from table [V, D]; ids must lie in 0..V-1. */
export function embedding(tape: Tape, table: Tensor, ids: Int32Array): Tensor {
  const dim = table.shape[1]!;
  const { kernels } = tape;
  const y = tape.output([ids.length, dim], table);
  kernels.embeddingForward(y.data, table.data, ids, ids.length, dim);
  tape.record(y, (dy) => {
    const dtable = tape.addingGradOf(table);
    if (dtable) kernels.embeddingBackward(dtable, ids, dy, ids.length, dim);
  });
  return y;
}
