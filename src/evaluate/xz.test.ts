import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { xzSizeBytes } from './xz.ts';

const hasXz = spawnSync('xz', ['--version']).status === 0;

describe.skipIf(!hasXz)('xz as a yardstick (needs the xz command)', () => {
  it('gives the size the command gives', async () => {
    const text = Buffer.from('to be or not to be, that is the question. '.repeat(200));
    const own = await xzSizeBytes(text);
    expect(own).toBe(spawnSync('xz', ['-9e', '-c'], { input: text }).stdout.byteLength);
    expect(own).toBeLessThan(text.byteLength / 10);
  });
});
