/** The inference engine of a model folder, in a thread of its own; and what to say where native kernels are missing. */
import { moduleBeside } from '../base/index.ts';
import { EngineClient, type EngineConfig } from '../infer/index.ts';
import { nativeUnavailableReason } from '../tensor/index.ts';
import type { CliContext } from './context.ts';
import type { LoaderOptions } from './engine-loader.ts';
import type { SamplingOptions } from './sampling.ts';

/** Starts the engine and waits until the model is loaded. @throws what loading the folder throws; engine_stopped */
export function startEngine(
  options: LoaderOptions,
  engine: Partial<EngineConfig> = {},
): Promise<EngineClient> {
  return EngineClient.start({
    loader: moduleBeside(import.meta.url, 'engine-loader'),
    loaderOptions: options,
    engine,
  });
}

/** The engine of a model folder for one user at a terminal. @throws as {@link startEngine} */
export function startEngineForOne(
  dir: string,
  { threads, weights }: Pick<SamplingOptions, 'threads' | 'weights'>,
  context: CliContext,
): Promise<EngineClient> {
  const loader = { dir, threads: threads ?? context.threads, precision: 'auto', weights } as const;
  return startEngine(loader, { slots: 1 });
}

/** Says on standard error, once a command, that models run on the slow reference kernels, and why. */
export function warnOfReferenceKernels(context: CliContext): void {
  const reason = nativeUnavailableReason();
  if (reason === null) return;
  context.stderr.write(
    `Warning: no native kernels (${reason}): the plain TypeScript ones run, many times slower. ` +
      'In a clone, install a C++ compiler and run `npm run setup`.\n',
  );
}
