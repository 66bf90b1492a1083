/** Where the 32 bits of MDS end: coded errors, without 4 GiB of memory or disk. Files are sparse, and arrays untouched. */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mergeMdsIndexes } from './mds-merge.ts';
import { MdsReader } from './mds-reader.ts';
import { MdsWriter } from './mds-writer.ts';

const LAST = 2 ** 32 - 1;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-mds-limits-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const code = (expected: string, message = /./) =>
  expect.objectContaining({ code: expected, message: expect.stringMatching(message) });

describe('a writer', () => {
  it.each([null, 1 << 20])(
    'refuses a sample that no shard can hold, with sizeLimit %s, and goes on',
    (sizeLimit) => {
      const writer = new MdsWriter({ dir, columns: { a: 'bytes', b: 'bytes' }, sizeLimit });
      writer.write({ a: Uint8Array.of(1), b: Uint8Array.of(2) });
      const half = new Uint8Array(2 ** 31);
      expect(() => writer.write({ a: half, b: half })).toThrow(
        code('sample_invalid', /^sample 1 has 4294967308 bytes, .*more than 4 GiB/),
      );
      writer.write({ a: Uint8Array.of(3), b: Uint8Array.of(4) });
      expect(writer.finish()).toMatchObject({ numSamples: 2 });
      expect(new MdsReader(dir).read(1)).toEqual({ a: Uint8Array.of(3), b: Uint8Array.of(4) });
    },
  );

  it('refuses a limit beyond the offsets', () => {
    expect(() => new MdsWriter({ dir, columns: { a: 'int' }, sizeLimit: 2 ** 32 })).toThrow(
      code('config_invalid', /sizeLimit 4294967296 is not in/),
    );
  });
});

describe('a reader', () => {
  type Entry = { samples: number; raw_data: { bytes: number; basename: string }; zip_data: unknown };
  const write = (folder = dir) => {
    const writer = new MdsWriter({ dir: folder, columns: { a: 'bytes' } });
    writer.write({ a: Uint8Array.of(1, 2, 3) });
    writer.write({ a: Uint8Array.of(4) });
    writer.finish();
  };
  const changeIndex = (change: (entry: Entry) => void, folder = dir) => {
    const path = join(folder, 'index.json');
    const index = JSON.parse(readFileSync(path, 'utf8'));
    change(index.shards[0]);
    writeFileSync(path, JSON.stringify(index));
  };
  /** Makes the shard as long as a shard can be, with these words at places in it; what is between is a hole. */
  const stretch = (words: readonly (readonly [at: number, word: number])[]) => {
    const file = openSync(join(dir, 'shard.00000.mds'), 'r+');
    ftruncateSync(file, LAST);
    for (const [at, word] of words) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(word);
      writeSync(file, bytes, 0, 4, at);
    }
    closeSync(file);
    changeIndex((entry) => {
      entry.raw_data.bytes = LAST;
    });
  };

  it.each([
    ['raw_data.bytes', ({ raw_data }: Entry) => Object.assign(raw_data, { bytes: 2 ** 32 })],
    ['samples', (entry: Entry) => Object.assign(entry, { samples: 2 ** 32 })],
    [
      'zip_data.bytes',
      (entry: Entry) =>
        Object.assign(entry, { zip_data: { ...entry.raw_data, hashes: {}, bytes: 2 ** 33 + 1 } }),
    ],
  ])('refuses an index whose %s have more bits', (where, change) => {
    write();
    changeIndex(change);
    expect(() => new MdsReader(dir)).toThrow(
      code('shard_index_invalid', new RegExp(where.replace('.', '\\.'))),
    );
  });

  it('finds a sample at the end of the largest shard', () => {
    write();
    const last = LAST - 5;
    // Offsets of the second sample and of the end; its value has one byte.
    stretch([
      [8, last],
      [12, LAST],
      [last, 1],
    ]);
    expect(new MdsReader(dir).read(1)).toEqual({ a: Uint8Array.of(0) });
  });

  it('refuses offsets, counts and sizes that go beyond, before it takes the memory', () => {
    write();
    expect(() => {
      changeIndex((entry) => {
        entry.samples = LAST;
      });
      new MdsReader(dir).read(0);
    }).toThrow(code('shard_corrupt', /too short for 4294967295 offsets/));
    stretch([]);
    changeIndex((entry) => {
      entry.samples = 2 ** 30 - 3;
    });
    const before = process.memoryUsage.rss();
    expect(() => new MdsReader(dir).read(0)).toThrow(
      code('shard_corrupt', /holds 2 samples; index\.json says/),
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(2 ** 30);
    rmSync(dir, { recursive: true });
    write();
    const shard = join(dir, 'shard.00000.mds');
    const bytes = readFileSync(shard);
    bytes.writeUInt32LE(LAST, bytes.length - 5);
    writeFileSync(shard, bytes);
    expect(() => new MdsReader(dir).read(1)).toThrow(code('shard_corrupt', /ends inside column "a"/));
  });

  it('counts the samples of a merged index beyond 32 bits', () => {
    const parts = [0, 1, 2].map((i) => join(dir, String(i)));
    for (const part of parts) {
      write(part);
      changeIndex((entry) => {
        entry.samples = LAST;
      }, part);
    }
    mergeMdsIndexes(dir, parts);
    const reader = new MdsReader(dir, { files: 'arriving' });
    expect(reader.numSamples).toBe(3 * LAST);
    expect([2 ** 32, 3 * LAST - 1].map((index) => reader.shardOf(index))).toEqual([1, 2]);
  });
});
