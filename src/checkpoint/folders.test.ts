import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  findCheckpoint,
  latestCheckpoint,
  listCheckpoints,
  pruneCheckpoints,
  saveCheckpoint,
} from './folders.ts';
import { writeSafetensors } from './safetensors.ts';
import { verifyChecksums } from './verify.ts';

let run: string;
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'dabarex-checkpoints-'));
});
afterEach(() => rmSync(run, { recursive: true, force: true }));

const code = (expected: string) => expect.objectContaining({ code: expected });
const save = (step: number) =>
  saveCheckpoint(run, step, (dir) => {
    mkdirSync(join(dir, 'training'));
    writeFileSync(join(dir, 'model'), `model ${step}`);
    writeFileSync(join(dir, 'training', 'state'), `state ${step}`);
    return {};
  });
const steps = () => listCheckpoints(run).map((each) => each.step);

describe('checkpoints of a run', () => {
  it('start empty', () => {
    expect(latestCheckpoint(run)).toBeUndefined();
    expect(listCheckpoints(run)).toEqual([]);
    expect(() => findCheckpoint(run)).toThrow(code('checkpoint_not_found'));
  });

  it('are saved, listed, found, replaced and pruned', () => {
    for (const step of [10, 20, 100, 30]) save(step);
    expect(steps()).toEqual([10, 20, 30, 100]);
    expect(latestCheckpoint(run)).toEqual({ step: 30, dir: join(run, 'checkpoints', 'step-00000030') });
    expect(findCheckpoint(run, 20).step).toBe(20);
    expect(() => findCheckpoint(run, 21)).toThrow(/10, 20, 30, 100/);
    save(30);
    expect(pruneCheckpoints(run, 1)).toEqual([10, 20]);
    expect(steps()).toEqual([30, 100]);
    expect(readdirSync(join(run, 'checkpoints')).sort()).toEqual([
      'latest',
      'step-00000030',
      'step-00000100',
    ]);
  });

  it('leave nothing of a save that failed, and the old latest', () => {
    save(1);
    const failing = () =>
      saveCheckpoint(run, 2, (dir) => {
        writeFileSync(join(dir, 'model'), 'half');
        throw new Error('disk full');
      });
    expect(failing).toThrow('disk full');
    expect(readdirSync(join(run, 'checkpoints')).sort()).toEqual(['latest', 'step-00000001']);
    expect(latestCheckpoint(run)?.step).toBe(1);
  });

  it('remove what a crash left, at the next save', () => {
    save(1);
    mkdirSync(join(run, 'checkpoints', 'step-00000002.tmp-999'));
    writeFileSync(join(run, 'checkpoints', 'latest.tmp-999'), 'x');
    save(3);
    expect(readdirSync(join(run, 'checkpoints')).sort()).toEqual([
      'latest',
      'step-00000001',
      'step-00000003',
    ]);
  });

  it('fall back to the newest whole one, with the reason', () => {
    for (const step of [1, 2, 3]) save(step);
    rmSync(join(run, 'checkpoints', 'step-00000003'), { recursive: true });
    expect(latestCheckpoint(run)).toMatchObject({
      step: 2,
      reason: expect.stringContaining('step-00000003'),
    });
    truncateSync(join(run, 'checkpoints', 'step-00000002', 'training', 'state'), 3);
    writeFileSync(join(run, 'checkpoints', 'latest'), 'step-00000002\n');
    expect(latestCheckpoint(run)).toMatchObject({ step: 1, reason: expect.stringContaining('has 3 bytes') });
    expect(() => findCheckpoint(run, 2)).toThrow(code('checkpoint_incomplete'));
    rmSync(join(run, 'checkpoints', 'step-00000001', 'model'));
    expect(() => latestCheckpoint(run)).toThrow(code('checkpoint_incomplete'));
    expect(existsSync(join(run, 'checkpoints', 'step-00000001'))).toBe(true);
  });

  it('are found without latest', () => {
    save(5);
    rmSync(join(run, 'checkpoints', 'latest'));
    expect(latestCheckpoint(run)).toMatchObject({ step: 5, reason: 'checkpoints/latest is missing' });
    expect(readFileSync(join(findCheckpoint(run).dir, 'model'), 'utf8')).toBe('model 5');
  });

  it.each(['model', 'training/state'])('notice a flipped bit in %s', (name) => {
    save(7);
    const { dir } = findCheckpoint(run);
    verifyChecksums(dir);
    const bytes = readFileSync(join(dir, name));
    bytes[3]! ^= 4;
    writeFileSync(join(dir, name), bytes);
    expect(() => verifyChecksums(dir)).toThrow(code('checkpoint_corrupt'));
    expect(() => verifyChecksums(dir)).toThrow(join(dir, name));
    verifyChecksums(dir, ['other']);
  });

  it('say of a file that is not there that it is missing, not that its bytes have changed', () => {
    save(7);
    const { dir } = findCheckpoint(run);
    rmSync(join(dir, 'model'));
    expect(() => verifyChecksums(dir, ['model'])).toThrow(code('file_missing'));
  });

  it('take the word of their writer for a checksum, which is that of the file', () => {
    const tensors = [
      { name: 'a', dtype: 'F32', shape: [100_003], data: new Float32Array(100_003).fill(1) },
    ] as const;
    saveCheckpoint(run, 1, (dir) => ({ weights: writeSafetensors(join(dir, 'weights'), tensors) }));
    verifyChecksums(findCheckpoint(run).dir);
    saveCheckpoint(run, 2, (dir) => {
      writeFileSync(join(dir, 'weights'), 'x');
      return { weights: '0123456789abcdef' };
    });
    expect(() => verifyChecksums(findCheckpoint(run).dir)).toThrow(code('checkpoint_corrupt'));
  });

  it('from before there were checksums pass', () => {
    save(1);
    const { dir } = findCheckpoint(run);
    const path = join(dir, 'manifest.json');
    const { checksums: _, ...before } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify(before));
    writeFileSync(join(dir, 'model'), 'model 2');
    verifyChecksums(dir);
    rmSync(path);
    verifyChecksums(dir);
  });
});
