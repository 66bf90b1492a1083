/** Keys and values of generated sequences: one slab of slots per layer. */
import type { LayerCache } from '../nn/index.ts';
import type { Kernels } from '../tensor/index.ts';
import type { ModelConfig } from './config.ts';

export interface KvCache {
  readonly slots: number;
  /** tokens a slot can hold */
  readonly length: number;
  readonly layers: readonly LayerCache[];
}

/** Memory for `slots` sequences of up to `length` tokens: f32, freed with the object. */
export function createKvCache(config: ModelConfig, kernels: Kernels, slots: number, length: number): KvCache {
  const floats = slots * length * config.kvHeads * config.headDim;
  const buffer = kernels.allocate(Math.max(1, config.numLayers * 2 * floats * 4));
  const layers = Array.from({ length: config.numLayers }, (_, layer) => ({
    keys: new Float32Array(buffer, layer * 2 * floats * 4, floats),
    values: new Float32Array(buffer, (layer * 2 + 1) * floats * 4, floats),
  }));
  return { slots, length, layers };
}
