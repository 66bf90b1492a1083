/** From the name of a variant to its tests run: tools found or installed, stage prepared, suite run. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildStage, compileTests } from './stage.mjs';

/**
 * The variant with its tools, installed by apt where that is possible.
 * @throws Error that names what is missing and the packages that hold it
 */
export function findTools(variant) {
  let tools = variant.resolve();
  if (tools.missing && install(variant.packages)) tools = variant.resolve();
  if (tools.missing) {
    throw new Error(
      `${variant.name}: ${tools.missing} not found. On Debian or Ubuntu: apt install ${variant.packages.join(' ')}`,
    );
  }
  return { name: variant.name, ...tools };
}

function install(packages) {
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) return false;
  console.log(`installing ${packages.join(' ')} ...`);
  const apt = (...args) =>
    spawnSync('apt-get', [...args, '-qq'], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'inherit'],
    }).status === 0;
  return apt('update') && apt('install', '-y', '--no-install-recommends', ...packages);
}

/** Builds the stage and runs `testFiles` (paths in the repository) in it; returns the exit code. */
export async function runStaged(variant, testFiles, args = []) {
  const start = performance.now();
  const folder = await buildStage(variant);
  compileTests(folder, testFiles);
  console.log(`${variant.name}: built in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  const [command, ...before] = variant.command;
  const compiled = testFiles.map((path) => path.replace(/\.ts$/, '.js'));
  const { status, signal } = spawnSync(
    command,
    [...before, join(folder, 'run-suite.mjs'), ...compiled, ...args],
    { cwd: folder, env: { ...process.env, ...variant.env }, stdio: 'inherit' },
  );
  if (signal) console.error(`${variant.name}: ended by ${signal}`);
  return status ?? 1;
}
