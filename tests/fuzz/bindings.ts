/** Every method of the addon with hostile arguments, in this process. `npm run fuzz -- bindings --variant sanitize` */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { Addon } from '../../src/tensor/native/addon.ts';
import { findAddon } from '../../src/tensor/native/addon-file.ts';
import { callWithAnything, unknownMethods } from '../../src/tensor/native/hostile.suite.ts';
import { nativeInstructionSets } from '../../src/tensor/native.ts';

for (const isa of nativeInstructionSets()) {
  it(`${isa} refuses what does not fit`, () => {
    const { path } = findAddon(fileURLToPath(new URL('../..', import.meta.url)));
    const methods = (createRequire(import.meta.url)(path!) as Addon).create(isa);
    expect(unknownMethods(methods)).toEqual([]);
    callWithAnything(methods, { numRuns: 1000 });
  });
}
