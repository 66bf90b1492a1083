export { type AttentionOptions, attention, type RopeTable, ropeTable } from './attention.ts';
export {
  type ProjectionLoss,
  projectionCrossEntropy,
  projectionCrossEntropyInParts,
} from './cross-entropy.ts';
export { add, matmul, mean, mul, residualAdd, softmax, unary } from './elementwise.ts';
export { embedding } from './embedding.ts';
export { glu } from './glu.ts';
export { groupedLinear, linear, PackedWeight, type WeightLayout } from './linear.ts';
export { layerNorm, rmsNorm } from './norm.ts';
export {
  combine,
  type DispatchPlan,
  dispatch,
  planDispatch,
  type Route,
  type RouteOptions,
  route,
} from './routing.ts';
