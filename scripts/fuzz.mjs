/**
 * Runs the properties of a suite with one random seed after another, until the time is over or one fails; then prints the
 * seed and the smallest counterexample. Needs set-up.
 *
 *   npm run fuzz -- kernels [--minutes 10] [--seed N] [--variant release|clang|sanitize|arm64]
 *
 * --seed     where to begin; `--minutes 0 --seed N` repeats what failed with seed N
 * --variant  the addon, see test-native.mjs; default: the one of set-up
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findTools, runStaged } from './native/run-variant.mjs';
import { repository } from './native/stage.mjs';
import { variants } from './native/variants.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    variant: { type: 'string', default: 'release' },
  },
});
const suites = readdirSync(join(repository, 'tests/fuzz')).map((name) => name.replace(/\.ts$/, ''));
const file = `tests/fuzz/${positionals[0]}.ts`;
const variant = Object.hasOwn(variants, values.variant) ? variants[values.variant] : undefined;
if (!existsSync(join(repository, file)) || !variant || !(values.minutes >= 0 && values.seed >= 0)) {
  console.error(
    `usage: npm run fuzz -- ${suites.join('|')} [--minutes N] [--seed N] [--variant ${Object.keys(variants).join('|')}]`,
  );
  process.exit(2);
}
console.log(`seeds from ${values.seed}, ${values.minutes} minutes`);
try {
  const args = ['--seed', values.seed, '--minutes', values.minutes];
  process.exitCode = await runStaged(findTools(variant), [file], args);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
