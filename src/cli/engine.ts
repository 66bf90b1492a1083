/** The inference engine of a model folder, in a thread of its own. */
import { EngineClient, type EngineConfig } from '../infer/index.ts';
import type { LoaderOptions } from './engine-loader.ts';

/** Starts the engine and waits until the model is loaded. @throws what loading the folder throws; engine_stopped */
export function startEngine(
  options: LoaderOptions,
  engine: Partial<EngineConfig> = {},
): Promise<EngineClient> {
  // A built package holds .js files where the repository holds .ts.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return EngineClient.start({
    loader: new URL(`./engine-loader.${extension}`, import.meta.url),
    loaderOptions: options,
    engine,
  });
}
