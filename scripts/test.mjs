/**
 * `npm test`: set-up, the checks (lint, types, layers, dead code), then every test. A check counts as one test.
 * The last line is `N passed, N failed` (`, N skipped` where some were); the exit code is 1 when anything failed.
 *
 *   npm test -- src/tokenizer     only the tests of one folder, without the checks
 */
import './node-version.mjs';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, setup } from './setup.mjs';

const checks = [
  { name: 'lint', args: ['node_modules/@biomejs/biome/bin/biome', 'check', '.'] },
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'] },
  {
    name: 'types of the web page',
    needs: 'dashboard/tsconfig.json',
    args: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'dashboard/tsconfig.json'],
  },
  { name: 'layers', args: ['scripts/layers.mjs'] },
  { name: 'dead code', args: ['node_modules/knip/bin/knip.js'] },
];

/** Runs node with `args` in the repository; resolves to the exit code. */
function node(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
    child.on('close', (code) => resolve(code ?? 1));
  });
}

async function runChecks() {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const check of checks) {
    if (check.needs && !existsSync(join(root, check.needs))) continue;
    console.log(`\n> ${check.name}`);
    const code = await node(check.args);
    counts[code === 0 ? 'passed' : 'failed']++;
    if (code !== 0) console.log(`${check.name}: FAILED`);
  }
  return counts;
}

async function runTests(filters) {
  const folder = mkdtempSync(join(tmpdir(), 'dabarex-test-'));
  const report = join(folder, 'report.json');
  try {
    const code = await node([
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...filters,
    ]);
    return countTests(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file that could not be loaded, and a run that failed although its tests passed, count as one failed test each. */
function countTests(report, code) {
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const unloaded = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  const failed = report.numFailedTests + unloaded.length;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

const filters = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
try {
  await setup();
  const parts = [filters.length ? total : await runChecks(), await runTests(filters)];
  for (const key of Object.keys(total)) total[key] = parts.reduce((sum, part) => sum + part[key], 0);
} catch (error) {
  console.error(error.message);
  total.failed++;
}
const skipped = total.skipped ? `, ${total.skipped} skipped` : '';
process.exitCode = total.failed ? 1 : 0;
console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
