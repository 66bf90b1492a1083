/**
 * The addon's norms, rotary positions, gated units, embedding, routing, losses and AdamW (native/kernels/): limited by
 * memory, not arithmetic. Methods that take the contract's arguments as they are need no adapter.
 */
import type {
  Activation,
  AttentionShape,
  ColumnGroups,
  LossKernels,
  RoutingKernels,
  TransformerKernels,
} from '../kernels.ts';
import { methodsOf, type NativeMethods } from './addon.ts';

type Plain = Pick<
  TransformerKernels & RoutingKernels & LossKernels,
  | 'layerNormForward'
  | 'layerNormBackward'
  | 'rmsNormForward'
  | 'rmsNormBackward'
  | 'embeddingForward'
  | 'embeddingBackward'
  | 'routerForward'
  | 'routerBackward'
  | 'buildPermutation'
  | 'gatherRows'
  | 'gatherRowsBackward'
  | 'combineForward'
  | 'combineBackward'
  | 'softmaxCrossEntropy'
  | 'softmaxForward'
  | 'softmaxBackward'
>;

type Adapted = Pick<
  TransformerKernels & LossKernels,
  | 'columnNormForward'
  | 'columnNormBackward'
  | 'ropeClipForward'
  | 'ropeClipBackward'
  | 'gluForward'
  | 'gluBackward'
  | 'adamw'
>;

type Numbers = readonly unknown[];

interface AdaptedMethods {
  columnNormForward(...values: Numbers): void;
  columnNormBackward(...values: Numbers): void;
  ropeClipForward(...values: Numbers): void;
  ropeClipBackward(...values: Numbers): void;
  gluForward(...values: Numbers): void;
  gluBackward(...values: Numbers): void;
  adamw(...values: Numbers): void;
}

/** In the order of the addon's enum (native/kernels.h). */
const ACTIVATIONS: readonly Activation[] = ['silu', 'gelu', 'gelu-tanh'];

const PLAIN: readonly (keyof Plain)[] = [
  'layerNormForward',
  'layerNormBackward',
  'rmsNormForward',
  'rmsNormBackward',
  'embeddingForward',
  'embeddingBackward',
  'routerForward',
  'routerBackward',
  'buildPermutation',
  'gatherRows',
  'gatherRowsBackward',
  'combineForward',
  'combineBackward',
  'softmaxCrossEntropy',
  'softmaxForward',
  'softmaxBackward',
];

export function memoryBoundKernels(methods: NativeMethods): Plain & Adapted {
  const all = methodsOf<Plain & AdaptedMethods>(methods);
  const plain = Object.fromEntries(PLAIN.map((name) => [name, all[name]])) as unknown as Plain;
  const heads = ({ rows, heads, kvHeads, headDim }: AttentionShape) => [rows, heads, kvHeads, headDim];
  const groups = ({ rows, columns, first, groups, dim }: ColumnGroups) => [rows, columns, first, groups, dim];
  return {
    ...plain,
    columnNormForward: (y, rstd, x, weight, shape, epsilon) =>
      all.columnNormForward(y, rstd, x, weight, ...groups(shape), epsilon),
    columnNormBackward: (dx, dweight, dy, x, weight, rstd, shape) =>
      all.columnNormBackward(dx, dweight, dy, x, weight, rstd, ...groups(shape)),
    ropeClipForward: (qkv, mask, positions, cos, sin, shape, clip) =>
      all.ropeClipForward(qkv, mask, positions, cos, sin, ...heads(shape), clip),
    ropeClipBackward: (dqkv, mask, positions, cos, sin, shape) =>
      all.ropeClipBackward(dqkv, mask, positions, cos, sin, ...heads(shape)),
    gluForward: (h, gateUp, rows, hidden, activation) =>
      all.gluForward(h, gateUp, rows, hidden, ACTIVATIONS.indexOf(activation)),
    gluBackward: (dGateUp, dh, gateUp, rows, hidden, activation) =>
      all.gluBackward(dGateUp, dh, gateUp, rows, hidden, ACTIVATIONS.indexOf(activation)),
    adamw: (param, m, v, grad, options) =>
      all.adamw(
        param,
        m,
        v,
        grad,
        options.learningRate,
        options.beta1,
        options.beta2,
        options.epsilon,
        options.weightDecay,
        options.step,
        options.gradScale,
      ),
  };
}
