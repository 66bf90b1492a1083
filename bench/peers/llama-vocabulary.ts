/**
 * llama.cpp as a tokenizer: the addon that npm `node-llama-cpp` ships ready-made, from the folder of peers, with a GGUF file that holds a
 * vocabulary and nothing else.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { GgufMetadata } from '../../src/checkpoint/index.ts';

/** A vocabulary in llama.cpp. */
export interface LlamaVocabulary {
  tokenize(text: string, allowSpecial: boolean): Uint32Array;
}

export interface LlamaVocabularies {
  /** `metadata` with the keys without which no file is read */
  withArchitecture(metadata: GgufMetadata): GgufMetadata;
  open(path: string): Promise<LlamaVocabulary>;
}

interface Addon {
  loadBackends(path: string): void;
  init(): Promise<void>;
  setLogger(log: (level: number, message: string) => void): void;
  setLoggerLogLevel(level: number): void;
  AddonModel: new (path: string, params: object) => LlamaVocabulary & { init(): Promise<boolean> };
}

/** llama.cpp from the folder of peers, or a sentence that says why it is not there. */
export function loadLlamaCpp(peers: string): LlamaVocabularies | string {
  const name = existsSync(peers) && readdirSync(peers).find((each) => each.startsWith('node-llama-cpp-'));
  const platform = `${process.platform}-${process.arch}`;
  const bins = join(peers, name || '', 'node_modules/@node-llama-cpp', platform, 'bins', platform);
  if (!existsSync(bins)) return 'node-llama-cpp is not there: run npm run bench -- llama-cpp first';
  const addon = createRequire(import.meta.url)(join(bins, 'llama-addon.node')) as Addon;
  let isReady = false;
  return {
    withArchitecture: (metadata) =>
      new Map([['general.architecture', { type: 'string', value: 'llama' }], ...metadata]),
    async open(path) {
      if (!isReady) {
        addon.setLogger(() => {});
        addon.setLoggerLogLevel(0);
        addon.loadBackends(bins);
        await addon.init();
        isReady = true;
      }
      const model = new addon.AddonModel(path, { vocabOnly: true, addonExports: addon, gpuLayers: 0 });
      if (!(await model.init())) throw new Error(`llama.cpp does not load ${path}`);
      return model;
    },
  };
}
