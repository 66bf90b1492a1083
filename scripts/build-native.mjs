/**
 * Builds the native kernels (build/Release/dabarex.node) with node-gyp. Does nothing when the sources, Node's ABI and the
 * platform are those of the last build. Where no C++ compiler is found it says so and ends well: the reference kernels run.
 *
 *   node scripts/build-native.mjs [--force]
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = join(root, 'build', 'Release', 'dabarex.node');
const stamp = join(root, 'build', '.native-stamp');

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

function hasCompiler() {
  if (process.platform === 'win32') return true;
  const candidates = process.env.CXX ? [process.env.CXX.split(' ')[0]] : ['c++', 'g++', 'clang++'];
  return candidates.some((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

/** Headers beside the running Node, where its package brings them; elsewhere node-gyp's own ways (npm config included). */
function nodeDirectory() {
  const configured = process.env.npm_config_nodedir;
  const prefix = configured || dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

function build() {
  const gyp = join(
    dirname(createRequire(import.meta.url).resolve('node-gyp/package.json')),
    'bin',
    'node-gyp.js',
  );
  const args = [gyp, 'rebuild', '--loglevel=error', '-j', 'max', ...nodeDirectory()];
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
}

const wanted = hashOfInputs();
const fresh = existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
if (fresh && !process.argv.includes('--force')) {
  console.log('native kernels: up to date');
} else if (!hasCompiler()) {
  console.log(
    'native kernels: no C++ compiler (g++ or clang++) found; the slower reference kernels will run',
  );
} else {
  const start = performance.now();
  const { status, stdout, stderr } = build();
  if (status === 0) {
    writeFileSync(stamp, wanted);
    console.log(`native kernels: built in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  } else {
    console.error(`${stdout ?? ''}${stderr ?? ''}\nnative kernels: the build failed`);
    process.exitCode = 1;
  }
}
