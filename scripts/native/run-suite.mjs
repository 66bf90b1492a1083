/**
 * Runs staged test files in the Node that runs this, and prints one line a failure. Executed by test-native.mjs and
 * fuzz.mjs inside a stage (see stage.mjs), possibly by a Node of another architecture.
 *
 *   node run-suite.mjs FILE...                         each once
 *   node run-suite.mjs FILE... --seed N --minutes M    again and again with the random seeds N, N + 1, ...; at least once
 *
 * @see https://fast-check.dev/docs/configuration/global-settings/
 */
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, minutes: { type: 'string' } },
});
// Both by the path the staged files see them under: there must be one copy of each.
const staged = (path) => import(pathToFileURL(join(import.meta.dirname, 'node_modules', path)).href);
const { startTests } = await staged('vitest/index.js');
const { default: fastCheck } = await import('fast-check');

/** Counts and prints; the rest of what vitest's runner asks for are its defaults. */
class Runner {
  counts = { passed: 0, failed: 0, skipped: 0 };
  pool = 'none';
  config = {
    root: import.meta.dirname,
    setupFiles: [],
    passWithNoTests: false,
    // An emulated processor is some 20 times slower.
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    maxConcurrency: 1,
    sequence: { setupFiles: 'list', hooks: 'stack', shuffle: false, concurrent: false },
    retry: 0,
    tags: [],
    chaiConfig: {},
  };

  constructor(round) {
    this.round = round;
  }

  importFile(path) {
    // A new query is a new module: the file registers its tests once more.
    return import(`${pathToFileURL(path).href}?round=${this.round}`);
  }

  onTaskFinished(task) {
    if (task.type !== 'test') return;
    const state = task.result?.state ?? 'skip';
    this.counts[state === 'pass' ? 'passed' : state === 'fail' ? 'failed' : 'skipped']++;
    for (const error of task.result?.errors ?? []) {
      console.log(`FAILED ${nameOf(task)}\n${error.stack ?? error.message}`);
    }
  }

  onAfterRunSuite(suite) {
    for (const error of suite.result?.errors ?? []) {
      this.counts.failed++;
      console.log(`FAILED ${nameOf(suite)}\n${error.stack ?? error.message}`);
    }
  }
}

function nameOf(task) {
  const above = task.suite && task.suite !== task.file ? `${nameOf(task.suite)} > ` : '';
  return `${above}${task.name}`;
}

async function runOnce(files, round) {
  const runner = new Runner(round);
  for (const file of await startTests(files, runner)) {
    // One that could not be imported, or registers nothing.
    if (file.tasks.length === 0) {
      runner.counts.failed++;
      console.log(`FAILED ${file.name}: no tests\n${file.result?.errors?.[0]?.stack ?? ''}`);
    }
  }
  return runner.counts;
}

const files = positionals.map((path) => resolve(import.meta.dirname, path));
const start = performance.now();
const total = { passed: 0, failed: 0, skipped: 0 };
const firstSeed = values.seed === undefined ? undefined : Number(values.seed);
const limitMs = Number(values.minutes ?? 0) * 60_000;
let rounds = 0;
do {
  const seed = firstSeed === undefined ? undefined : firstSeed + rounds;
  if (seed !== undefined) fastCheck.configureGlobal({ seed });
  const counts = await runOnce(files, rounds++);
  for (const key of Object.keys(total)) total[key] += counts[key];
  if (seed !== undefined) console.log(`seed ${seed}: ${counts.failed ? 'FAILED' : 'passed'}`);
} while (!total.failed && performance.now() - start < limitMs);

const seconds = ((performance.now() - start) / 1000).toFixed(1);
const skipped = total.skipped ? `, ${total.skipped} skipped` : '';
const what = `${files.map((path) => basename(path)).join(', ')}, ${process.arch}, ${seconds} s`;
console.log(`${firstSeed === undefined ? '' : `${rounds} rounds of `}${what}`);
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exit(total.failed ? 1 : 0);
