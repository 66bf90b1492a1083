/**
 * Runs the shared suite of kernels on an addon built another way than the repository's own.
 *
 *   node scripts/test-native.mjs arm64       cross-compiled for AArch64, run by an emulator     (npm run test:arm64)
 *   node scripts/test-native.mjs clang       compiled by clang                                  (npm run test:clang)
 *   node scripts/test-native.mjs sanitize    address and undefined-behaviour sanitizers         (npm run test:sanitize,
 *   node scripts/test-native.mjs tsan        thread sanitizer, tests that use several threads    which runs both)
 *
 * What is missing is installed by apt where there is one and this runs as root; else it is named. Needs set-up.
 */
import { findTools, runStaged } from './native/run-variant.mjs';
import { variants } from './native/variants.mjs';

const files = [
  'src/tensor/kernels.test.ts',
  'src/tensor/native.test.ts',
  'src/tensor/native/products.test.ts',
];
const [name] = process.argv.slice(2);
if (!Object.hasOwn(variants, name ?? '')) {
  console.error(`usage: node scripts/test-native.mjs ${Object.keys(variants).join('|')}`);
  process.exit(2);
}
// Ten times slower; one thread has no races.
const threaded = [
  'src/tensor/threads.test.ts',
  'src/tensor/native.test.ts',
  'src/tensor/native/products.test.ts',
];
try {
  process.exitCode = await runStaged(findTools(variants[name]), name === 'tsan' ? threaded : files);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
