/**
 * The reader of MDS under damage: real data sets whose index and shards were changed, byte by byte and figure by figure. Every sample is
 * its old value, some other value of its column, or a coded error; memory stays within what the files hold.
 *
 *   npm run fuzz -- mds [--minutes N] [--seed N]
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DabarexError } from '../../src/base/index.ts';
import { inspectMds, MdsReader, MdsWriter } from '../../src/stream/index.ts';

const COMPRESSIONS = [null, 'zstd', 'gz', 'bz2', 'br:1', 'snappy'];
const COLUMNS = {
  bytes: 'bytes',
  flat: 'ndarray:int32',
  free: 'ndarray',
  fixed: 'ndarray:uint16:2,2',
  int: 'int',
  json: 'json',
  list: 'list[pil]',
  text: 'str',
};
const ALLOWED = [
  'shard_compression_unsupported',
  'shard_corrupt',
  'shard_encoding_unsafe',
  'shard_index_invalid',
  'shard_missing',
  'shard_truncated',
];
/** Far above what the files hold, far below what a lying figure of 32 bits asks for. */
const MEMORY_BYTES = 1 << 28;

let root: string;
const original = new Map<string, Map<string, Buffer>>();
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-fuzz-mds-'));
  for (const compression of COMPRESSIONS) {
    const dir = join(root, String(compression));
    const writer = new MdsWriter({ dir, columns: COLUMNS, sizeLimit: 2000, compression });
    for (let i = 0; i < 40; i++) writer.write(sampleOf(i));
    writer.finish();
    const files = readdirSync(dir).map((name) => [name, readFileSync(join(dir, name))] as const);
    original.set(String(compression), new Map(files));
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function sampleOf(i: number): Record<string, unknown> {
  const grid = { dtype: 'uint16', shape: [2, 2], data: Uint16Array.of(i, 1, 2, 3) };
  const image = { width: 1, height: i, mode: 'L', raw: new Uint8Array(i) };
  return {
    bytes: new Uint8Array(i % 5),
    flat: new Int32Array((i % 7) + 1).fill(i),
    free: { dtype: 'float32', shape: [1, i + 1], data: new Float32Array(i + 1) },
    fixed: grid,
    int: i,
    json: { i, deep: [{ x: 'ä' }] },
    list: [image],
    text: `text ${i} ä`,
  };
}

/** A change of one file: bytes overwritten, cut off, or put in. */
const change = fc.record({
  file: fc.nat(),
  kind: fc.constantFrom('flip', 'word', 'cut', 'insert', 'swap'),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  value: fc.oneof(fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc), fc.nat(0xffffffff)),
});

function applyChange(files: Map<string, Buffer>, { file, kind, at, value }: Change): void {
  const names = [...files.keys()];
  const name = names[file % names.length]!;
  const bytes = Buffer.from(files.get(name)!);
  const place = Math.floor(at * bytes.length);
  if (bytes.length < 4) return;
  if (kind === 'flip') bytes[place]! ^= 1 << (value % 8);
  if (kind === 'word') bytes.writeUInt32LE(value, Math.min(place, bytes.length - 4) & ~3);
  if (kind === 'cut') files.set(name, bytes.subarray(0, place));
  else if (kind === 'insert')
    files.set(name, Buffer.concat([bytes.subarray(0, place), bytes.subarray(place >> 1)]));
  else if (kind === 'swap') {
    const other = names[value % names.length]!;
    files.set(name, files.get(other)!);
    files.set(other, bytes);
  } else files.set(name, bytes);
}

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** A figure or a name of the index replaced by another one. */
const edit = fc.record({
  path: fc.constantFrom(
    'samples',
    'raw_data.bytes',
    'zip_data.bytes',
    'zip_data',
    'raw_data.basename',
    'compression',
    'column_encodings.0',
    'column_encodings.2',
    'column_sizes.1',
    'column_names.3',
    'hashes',
    'raw_data.hashes',
  ),
  value: fc.oneof(
    fc.constantFrom<unknown>(
      null,
      0,
      -1,
      1.5,
      2 ** 31,
      2 ** 32 - 1,
      2 ** 53,
      'str',
      'pkl',
      'ndarray',
      'ndarray:int64:9',
      'int8',
    ),
    fc.constantFrom<unknown>(
      '../../etc/passwd',
      '/etc/passwd',
      'zstd',
      'gz',
      'br',
      'snappy',
      'bz2',
      'lz4:1',
      [],
      {},
      'shard.00001.mds',
    ),
    fc.nat(100_000),
    fc.jsonValue(),
  ),
});

function applyEdit(files: Map<string, Buffer>, { path, value }: { path: string; value: unknown }): void {
  const index = JSON.parse(files.get('index.json')!.toString());
  const keys = path.split('.');
  let place = index.shards[0];
  for (const key of keys.slice(0, -1)) place = place?.[key];
  if (place !== null && typeof place === 'object') place[keys.at(-1)!] = value;
  files.set('index.json', Buffer.from(JSON.stringify(index)));
}

/** Only coded errors, of the reader's own codes, are let through. */
function onlyCoded(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    expect(ALLOWED).toContain(error.code);
  }
}

function readAll(dir: string): void {
  onlyCoded(() => {
    const reader = new MdsReader(dir, { files: 'arriving', cacheBytes: 1 << 20 });
    const target = new Int32Array(64);
    const numSamples = Math.min(reader.numSamples, 200);
    for (let i = 0; i < numSamples; i++) {
      onlyCoded(() => reader.read(i));
      onlyCoded(() => reader.readRaw(i));
      onlyCoded(() => reader.readInto(i, 'flat', target));
    }
    reader.close();
  });
}

async function check(compression: string, make: (files: Map<string, Buffer>) => void): Promise<void> {
  const files = new Map(original.get(compression)!);
  make(files);
  const dir = mkdtempSync(join(root, 'case-'));
  try {
    for (const [name, bytes] of files) writeFileSync(join(dir, name), bytes);
    const before = process.memoryUsage().arrayBuffers;
    readAll(dir);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MEMORY_BYTES);
    await inspectMds(dir).catch((error) => {
      if (!(error instanceof DabarexError)) throw error;
      expect(ALLOWED).toContain(error.code);
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe.each(COMPRESSIONS.map(String))('MDS, compression %s', (compression) => {
  it('survives changed files', async () => {
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(changes, (all) =>
        check(compression, (files) => {
          for (const each of all) applyChange(files, each);
        }),
      ),
      { numRuns: 60 },
    );
  });

  it('survives a changed index', async () => {
    const edits = fc.array(edit, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(edits, (all) =>
        check(compression, (files) => {
          for (const each of all) applyEdit(files, each);
        }),
      ),
      { numRuns: 60 },
    );
  });
});
