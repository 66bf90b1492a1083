/**
 * Calls the addon with anything, in a process of its own, which may crash: node --import tsx hostile-calls.ts ISA RUNS TRACE.
 * TRACE holds the call that is under way.
 */
import { openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Addon } from '../../src/tensor/native/addon.ts';
import { findAddon } from '../../src/tensor/native/addon-file.ts';
import { callWithAnything } from '../../src/tensor/native/hostile.suite.ts';

const [isa, numRuns, tracePath] = process.argv.slice(2);
const { path } = findAddon(fileURLToPath(new URL('../..', import.meta.url)));
const addon = createRequire(import.meta.url)(path!) as Addon;
const trace = openSync(tracePath!, 'w');
// Over the last one: a call is some hundred bytes.
const onCall = (call: string) => writeSync(trace, `${call}\n`.padEnd(4096), 0);
callWithAnything(addon.create(isa!), { numRuns: Number(numRuns), onCall });
process.stdout.write('survived\n');
