/**
 * Builds the native kernels (build/Release/dabarex.node), of which only what is not up to date is compiled: for the
 * instruction sets of this processor, or with --all for every one of its kind. Where there is no
 * C++ compiler, or the system is one the kernels are not written for, it says so and ends well: the reference kernels run.
 *
 *   node scripts/build-native.mjs [--force] [--all]
 */
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { compileAddon, findCompiler, findHeaders, usableInstructionSets } from './native/compile.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What the kernels are built with here, or the `obstacle`. */
export function findBuildTools(env = process.env) {
  if (process.platform === 'win32') return { obstacle: 'they are not written for Windows' };
  const compiler = findCompiler(env);
  if (compiler.missing) return { obstacle: `no C++ compiler (${compiler.missing.join(', ')}) found` };
  const headers = findHeaders(env);
  if (!headers) {
    return { obstacle: 'no node_api.h found; npm install node-api-headers, or set npm_config_nodedir' };
  }
  return { compiler, headers };
}

/**
 * Builds the kernels of this repository, or says why not.
 * @param all instruction sets, those that this processor lacks, too: for a package that others install
 * @param onProgress called with `{ done, total }` in files
 * @throws Error with the compiler's output when they do not compile
 */
export async function buildNative({ force = false, all = false, onProgress, log = console.log } = {}) {
  const { obstacle, ...tools } = findBuildTools();
  if (obstacle) {
    log(`native kernels: not built (${obstacle}); the slow reference kernels will run`);
    return;
  }
  const start = performance.now();
  const { compiled, warnings } = await compileAddon({
    root,
    ...tools,
    force,
    instructionSets: all ? undefined : usableInstructionSets(),
    onProgress,
  });
  if (warnings.trim()) log(warnings.trimEnd());
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  log(`native kernels: ${compiled === 0 ? 'up to date' : `${compiled} files compiled in ${seconds} s`}`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await buildNative({ force: process.argv.includes('--force'), all: process.argv.includes('--all') });
  } catch (error) {
    console.error(`${error.message}\nnative kernels: the build failed`);
    process.exitCode = 1;
  }
}
