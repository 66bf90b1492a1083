/**
 * All set-up, in steps that do nothing when their inputs have not changed: dependencies, native kernels, the compiled
 * package, the web page. Each step keeps a stamp, the hash of its inputs, beside its output; the native kernels also keep
 * every object that is up to date, so that what Ctrl-C stopped goes on where it was.
 *
 *   node scripts/setup.mjs [--force] [--prebuilds]
 *
 * --force      builds again whatever the stamps say (dependencies excepted)
 * --prebuilds  copies the addon to prebuilds/<platform>-<arch>/, where a package looks for it (run by `npm pack`)
 */
import './node-version.mjs';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildNative } from './build-native.mjs';
import { usableInstructionSets } from './native/compile.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = 'build/Release/dabarex.node';
const LINE_INTERVAL_MS = 10_000;

/** Every step: inputs are hashed, `output` must exist, `run` makes it. */
const steps = [
  {
    name: 'dependencies',
    inputs: ['package.json', 'package-lock.json', 'dashboard/package.json'],
    output: 'node_modules',
    stamp: 'node_modules/.dabarex-stamp',
    always: true, // and first
    // Not `npm ci`: it wants every optional package of every platform in the lock file, and a lock file written
    // through a registry that does not offer them all is refused. `--no-save` leaves the lock file as it is.
    run: () =>
      npm(['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']),
  },
  {
    name: 'native kernels',
    inputs: ['native', 'scripts/build-native.mjs', 'scripts/native/compile.mjs'],
    settings: ['CXX', 'CXXFLAGS', 'LDFLAGS'],
    machine: usableInstructionSets,
    output: addon,
    stamp: 'build/.stamp',
    needs: 'scripts/build-native.mjs',
    run: (force) => buildNative({ force, onProgress: fileCount(), log: say }),
  },
  {
    name: 'package',
    inputs: ['src', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'],
    output: 'dist',
    stamp: 'dist/.stamp',
    run: async () => {
      rmSync(join(root, 'dist'), { recursive: true, force: true });
      await node(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
    },
  },
  {
    name: 'web page',
    inputs: ['dashboard', 'package-lock.json'],
    output: 'dashboard/dist',
    stamp: 'dashboard/dist/.stamp',
    needs: 'dashboard/index.html',
    run: () =>
      node(['../node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'], join(root, 'dashboard')),
  },
];

/**
 * Runs every step that is out of date, the dependencies first and the builds side by side, and says so.
 * @throws when a step fails; its own output says why
 */
export async function setup({ force = false, prebuilds = false } = {}) {
  const [first, ...builds] = steps.filter((step) => isDue(step, force));
  if (first?.always) await runStep(first, force);
  else if (first) builds.unshift(first);
  const results = await Promise.allSettled(builds.map((step) => runStep(step, force)));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure) throw failure.reason;
  if (!prebuilds) return;
  await buildNative({ all: true, onProgress: fileCount(), log: say });
  copyPrebuild();
}

function isDue(step, force) {
  if (step.needs && !existsSync(join(root, step.needs))) return false;
  if (step.name === 'dependencies' && isLink('node_modules')) return false;
  const stamp = join(root, step.stamp);
  const fresh =
    existsSync(join(root, step.output)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hashOf(step);
  return !fresh || (force && !step.always);
}

async function runStep(step, force) {
  const hash = hashOf(step);
  const start = performance.now();
  say(`set-up: ${step.name} ...`);
  try {
    await step.run(force);
  } catch (error) {
    throw new Error(`set-up: ${step.name} failed: ${error.message}`);
  }
  const stamp = join(root, step.stamp);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
  say(`set-up: ${step.name} done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** Prints a line, above the count of files where there is one. */
function say(line) {
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  console.log(line);
}

/** Shows `{ done, total }`: on a terminal in one line that changes, elsewhere as a line now and then. */
function fileCount() {
  let printed = performance.now();
  return ({ done, total }) => {
    const text = `set-up: native kernels, ${done} of ${total} files`;
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${done < total ? text : ''}`);
    else if (done < total && performance.now() - printed >= LINE_INTERVAL_MS) {
      console.log(text);
      printed = performance.now();
    }
  };
}

function copyPrebuild() {
  if (!existsSync(join(root, addon))) return;
  cpSync(join(root, addon), join(root, 'prebuilds', `${process.platform}-${process.arch}`, 'dabarex.node'));
}

/** Hash of the names and contents of a step's inputs, tests and outputs left out, of its environment variables and machine. */
function hashOf({ inputs, settings = [], machine = () => [] }) {
  const hash = createHash('sha256').update(process.version).update(machine().join());
  for (const name of settings) if (process.env[name]) hash.update(`\0${name}=${process.env[name]}\0`);
  for (const input of inputs) {
    for (const file of filesOf(input)) hash.update(`\0${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

function filesOf(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (!lstatSync(full).isDirectory()) return [path];
  return readdirSync(full)
    .sort()
    .filter(
      (name) => !['node_modules', 'dist', 'build'].includes(name) && !/\.(test|suite)\.tsx?$/.test(name),
    )
    .flatMap((name) => filesOf(`${path}/${name}`));
}

/** A linked node_modules belongs to another working tree, which keeps it. */
function isLink(path) {
  return lstatSync(join(root, path), { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function npm(args) {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('.js')) return run(process.execPath, [cli, ...args]);
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, { shell: process.platform === 'win32' });
}

function node(args, cwd = root) {
  return run(process.execPath, args, { cwd });
}

/** Runs a program quietly; its output is shown only when it fails. */
function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const output = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      process.stderr.write(`\n${Buffer.concat(output)}`);
      reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const start = performance.now();
  const flags = new Set(process.argv.slice(2));
  try {
    await setup({ force: flags.has('--force'), prebuilds: flags.has('--prebuilds') });
    console.log(`set-up: ready in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
