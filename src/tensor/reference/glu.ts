/**
 * The gated linear unit between the two products of an expert (Shazeer 2020): h = activation(gate) · up.
 * Backward: dgate = dh · up · activation'(gate), dup = dh · activation(gate).
 */
import type { Activation, FloatArray, TransformerKernels } from '../kernels.ts';
import { checkLength, checkSize } from './lengths.ts';
import { SCALAR_FUNCTIONS } from './scalar-functions.ts';

function gluForward(
  h: FloatArray,
  gateUp: FloatArray,
  rows: number,
  hidden: number,
  activation: Activation,
): void {
  check(h, gateUp, rows, hidden);
  const { value } = SCALAR_FUNCTIONS[activation];
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < hidden; i++) {
      const gate = r * 2 * hidden + i;
      h[r * hidden + i] = value(gateUp[gate]) * gateUp[gate + hidden];
    }
  }
}

function gluBackward(
  dGateUp: FloatArray,
  dh: FloatArray,
  gateUp: FloatArray,
  rows: number,
  hidden: number,
  activation: Activation,
): void {
  check(dh, gateUp, rows, hidden);
  checkLength('dGateUp', dGateUp, rows * 2 * hidden);
  const { value, derivative } = SCALAR_FUNCTIONS[activation];
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < hidden; i++) {
      const at = r * 2 * hidden + i;
      const [gate, up, gradient] = [gateUp[at], gateUp[at + hidden], dh[r * hidden + i]];
      const activated = value(gate);
      dGateUp[at] = gradient * up * derivative(gate, activated);
      dGateUp[at + hidden] = gradient * activated;
    }
  }
}

function check(h: FloatArray, gateUp: FloatArray, rows: number, hidden: number): void {
  checkSize('rows', rows);
  checkSize('hidden', hidden);
  checkLength('h', h, rows * hidden);
  checkLength('gateUp', gateUp, rows * 2 * hidden);
}

export const gluKernels: Pick<TransformerKernels, 'gluForward' | 'gluBackward'> = { gluForward, gluBackward };
