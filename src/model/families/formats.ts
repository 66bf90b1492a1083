/** What a file of this folder tells of one model type: its names and settings in Hugging Face's folders and in GGUF files. */
import type { GgufMetadata, GgufValue } from '../../checkpoint/index.ts';
import type { ModelConfig } from '../config.ts';
import type { StoredTensor } from '../weight-map.ts';
import type { Family } from './traits.ts';

export interface FamilyFormats {
  readonly family: Family;
  readonly huggingFace: HuggingFaceFormat;
  readonly gguf: GgufFormat;
}

/** All tensors of a model in one way of storing them. */
export type Layout = (config: ModelConfig) => StoredTensor[];

export interface HuggingFaceFormat {
  /** `model_type` of config.json */
  readonly modelType: string;
  /** @throws config_invalid for fields that are missing, or mean what the family cannot do */
  readConfig(value: unknown, where: string): ModelConfig;
  /** config.json; only keys that the published configuration class accepts */
  writeConfig(config: ModelConfig): Record<string, unknown>;
  /** The first is written; those after it are read where a file has them. */
  readonly layouts: readonly [Layout, ...Layout[]];
}

export interface GgufFormat {
  /** `general.architecture` */
  readonly architecture: string;
  /** Whether a file of this architecture is of this family: `llama` holds Mixtral, too. */
  accepts?(file: GgufDescription): boolean;
  /** @throws gguf_invalid, config_invalid */
  readConfig(file: GgufDescription): ModelConfig;
  /** Metadata by whole keys, with their types: llama.cpp takes no other type. */
  writeConfig(config: ModelConfig): Iterable<readonly [key: string, value: GgufValue]>;
  /** The first is written; those after it are read where a file has them. */
  readonly layouts: readonly [Layout, ...Layout[]];
  /** Why this model cannot be written so; undefined where it can. */
  unfit?(config: ModelConfig): string | undefined;
}

export interface GgufDescription {
  readonly path: string;
  readonly metadata: GgufMetadata;
  hasTensor(name: string): boolean;
}
