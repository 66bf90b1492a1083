/** Gated linear unit (Shazeer 2020): activation(gate) * up. */
import type { Activation } from '../kernels.ts';
import type { Tape } from '../tape.ts';
import { asMatrix, type Tensor } from '../tensor.ts';

/** h [R, F] from gateUp [R, 2F] (gate in the first F columns). The backward pass overwrites gateUp by its gradient. */
export function glu(tape: Tape, gateUp: Tensor, activation: Activation): Tensor {
  const { rows, dim } = asMatrix(gateUp);
  const hidden = dim / 2;
  const h = tape.output([rows, hidden], gateUp);
  tape.kernels.gluForward(h.data, gateUp.data, rows, hidden, activation);
  tape.record(h, (dh) => {
    tape.kernels.gluBackward(gateUp.data, dh, gateUp.data, rows, hidden, activation);
    tape.passGrad(gateUp, gateUp.data);
  });
  return h;
}
