/**
 * The addon's norms, rotary positions, gated units, embedding, routing, losses and AdamW (native/kernels/): limited by
 * memory, not arithmetic. Methods that take the contract's arguments as they are need no adapter.
 */
import type { AttentionShape, LossKernels, RoutingKernels, TransformerKernels } from '../kernels.ts';
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
  'ropeClipForward' | 'ropeClipBackward' | 'gluForward' | 'gluBackward' | 'adamw'
>;

type Numbers = readonly unknown[];

interface AdaptedMethods {
  ropeClipForward(...values: Numbers): void;
  ropeClipBackward(...values: Numbers): void;
  gluForward(...values: Numbers): void;
  gluBackward(...values: Numbers): void;
  adamw(...values: Numbers): void;
}

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
  return {
    ...plain,
    ropeClipForward: (qkv, mask, positions, cos, sin, shape, clip) =>
      all.ropeClipForward(qkv, mask, positions, cos, sin, ...heads(shape), clip),
    ropeClipBackward: (dqkv, mask, positions, cos, sin, shape) =>
      all.ropeClipBackward(dqkv, mask, positions, cos, sin, ...heads(shape)),
    gluForward: (h, gateUp, rows, hidden, activation) =>
      all.gluForward(h, gateUp, rows, hidden, activation === 'gelu'),
    gluBackward: (dGateUp, dh, gateUp, rows, hidden, activation) =>
      all.gluBackward(dGateUp, dh, gateUp, rows, hidden, activation === 'gelu'),
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
