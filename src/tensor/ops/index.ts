export { type AttentionOptions, attention, type RopeTable } from './attention.ts';
export {
  type ProjectionLoss,
  projectionCrossEntropy,
  projectionCrossEntropyInParts,
} from './cross-entropy.ts';
export { add, addBias, matmul, mean, mul, residualAdd, scaled, softmax, unary } from './elementwise.ts';
export { embedding } from './embedding.ts';
export { glu } from './glu.ts';
export { groupedLinear, linear, PackedWeight, type WeightLayout } from './linear.ts';
export { columnNorms, layerNorm, type NormedColumns, rmsNorm } from './norm.ts';
export { inverseFrequencies, type RopeScaling, ropeTable } from './rope.ts';
export {
  combine,
  type DispatchPlan,
  dispatch,
  planDispatch,
  type Route,
  type RouteOptions,
  route,
} from './routing.ts';
