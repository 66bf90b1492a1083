/**
 * Builds the native kernels (build/Release/dabarex.node) with node-gyp. Does nothing when the sources, Node's ABI and the
 * platform are those of the last build. Where there is no C++ compiler, or the system is one the kernels are not written
 * for, it says so and ends well: the reference kernels run.
 *
 *   node scripts/build-native.mjs [--force]
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = join(root, 'build', 'Release', 'dabarex.node');
const stamp = join(root, 'build', '.native-stamp');

/** Why the kernels cannot be built here, or null. */
export function buildObstacle() {
  if (process.platform === 'win32') return 'they are not written for Windows';
  const compilers = process.env.CXX ? [process.env.CXX.split(' ')[0]] : ['c++', 'g++', 'clang++'];
  if (!compilers.some(runs)) return `no C++ compiler (${compilers.join(', ')}) found`;
  if (!['make', 'gmake'].some(runs)) return 'no make found';
  if (![process.env.PYTHON, 'python3', 'python'].some((name) => name && runs(name))) return 'no Python found';
  return null;
}

function runs(name) {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** Runs node-gyp in `cwd`, quietly; returns what spawnSync does. Headers are those of the Node in `nodeFolder`, if it has them. */
export function nodeGyp(args, { cwd, env = process.env, nodeFolder = runningNode() }) {
  const gyp = join(
    dirname(createRequire(import.meta.url).resolve('node-gyp/package.json')),
    'bin',
    'node-gyp.js',
  );
  // Elsewhere node-gyp has its own ways to headers (npm config included).
  const headers = existsSync(join(nodeFolder, 'include', 'node', 'node_api.h'))
    ? [`--nodedir=${nodeFolder}`]
    : [];
  const all = [gyp, ...args, '--loglevel=error', ...headers];
  return spawnSync(process.execPath, all, { cwd, env, encoding: 'utf8', maxBuffer: 2 ** 28 });
}

function runningNode() {
  return process.env.npm_config_nodedir || dirname(dirname(process.execPath));
}

function sourceFiles(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? sourceFiles(path) : [path];
    });
}

function hashOfInputs() {
  const hash = createHash('sha256').update(
    `${process.versions.modules} ${process.platform} ${process.arch} ${process.env.CXX ?? ''}`,
  );
  for (const path of [join(root, 'binding.gyp'), ...sourceFiles(join(root, 'native'))]) {
    hash.update(path.slice(root.length)).update(readFileSync(path));
  }
  return hash.digest('hex');
}

function main() {
  const wanted = hashOfInputs();
  const fresh = existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (fresh && !process.argv.includes('--force')) {
    console.log('native kernels: up to date');
    return;
  }
  const obstacle = buildObstacle();
  if (obstacle) {
    console.log(`native kernels: not built (${obstacle}); the slow reference kernels will run`);
    return;
  }
  const start = performance.now();
  const { status, stdout, stderr } = nodeGyp(['rebuild', '-j', 'max'], { cwd: root });
  if (status === 0) {
    writeFileSync(stamp, wanted);
    console.log(`native kernels: built in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  } else {
    console.error(`${stdout ?? ''}${stderr ?? ''}\nnative kernels: the build failed`);
    process.exitCode = 1;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
