import { createHash } from 'node:crypto';
import {
  copyFileSync,
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
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MdsReader } from './mds-reader.ts';
import { MdsWriter } from './mds-writer.ts';

const vectors = resolve(process.env.DABAREX_VECTORS ?? '../shared/vectors', 'mds');
const hasVectors = existsSync(vectors);
const whyNot = hasVectors ? '' : ` (skipped: no folder ${vectors})`;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-mds-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe.skipIf(!hasVectors)(`data sets of MosaicML's writer${whyNot}`, () => {
  const expected = hasVectors ? JSON.parse(readFileSync(join(vectors, 'expected.json'), 'utf8')) : {};
  const texts = expected.texts as string[];
  const sameFiles = (name: string) => {
    const names = readdirSync(join(vectors, name));
    expect(readdirSync(dir).sort()).toEqual(names.sort());
    for (const each of names) {
      expect(readFileSync(join(dir, each)).equals(readFileSync(join(vectors, name, each))), each).toBe(true);
    }
  };
  const rewrite = (name: string) => {
    const index = JSON.parse(readFileSync(join(vectors, name, 'index.json'), 'utf8')).shards[0];
    const reader = new MdsReader(join(vectors, name));
    const columns = Object.fromEntries(reader.columns.map((each) => [each.name, each.encoding]));
    const { size_limit: sizeLimit, hashes, compression } = index;
    // The time that Python put into the head of each gzip file; all are of one second.
    const packed = readFileSync(join(vectors, name, (index.zip_data ?? index.raw_data).basename));
    const gzipTimeSeconds = packed.readUInt32LE(4);
    const writer = new MdsWriter({ dir, columns, sizeLimit, hashes, compression, gzipTimeSeconds });
    for (const sample of reader) writer.write(sample);
    writer.finish();
  };

  it.each(['text_plain', 'text_gz', 'text_zstd'])('reads %s in order', (name) => {
    const reader = new MdsReader(join(vectors, name));
    expect([...reader].map((sample) => sample.text)).toEqual(texts);
    expect(reader.read(123)).toEqual({ text: texts[123] });
  });

  it('writes the same text byte for byte', () => {
    const writer = new MdsWriter({ dir, columns: { text: 'str' }, sizeLimit: 4096 });
    for (const text of texts) writer.write({ text });
    expect(writer.finish()).toMatchObject({ numSamples: 200, numShards: 5 });
    sameFiles('text_plain');
  });

  it.each(['text_hashes', 'tokens_ndarray', 'all_scalars', 'text_gz', 'text_zstd'])(
    'writes %s again, byte for byte',
    (name) => {
      rewrite(name);
      sameFiles(name);
    },
  );

  it('reads the values of every scalar encoding', () => {
    const rows = [...new MdsReader(join(vectors, 'all_scalars'))].map((row) => ({
      ...row,
      b: Buffer.from(row.b as Uint8Array).toString('latin1'),
      si: String(row.si),
    }));
    expect(rows).toEqual(expected.all_scalars);
  });

  it('reads tokens as Int32Array', () => {
    const reader = new MdsReader(join(vectors, 'tokens_ndarray'));
    expect(reader.read(3)).toEqual({ tokens: Int32Array.of(3, 4, 5, 6) });
  });
});

describe('MdsWriter', () => {
  it("writes the bytes MosaicML's encoders give for a small data set", () => {
    const writer = new MdsWriter({ dir, columns: { tokens: 'ndarray:int32', id: 'int' } });
    writer.write({ id: 7, tokens: Int32Array.of(1, 2, 3) });
    writer.write({ id: -1, tokens: Int32Array.of(100257) });
    writer.finish();
    const bytes = readFileSync(join(dir, 'shard.00000.mds'));
    expect(bytes.length).toBe(257);
    expect(createHash('sha1').update(bytes).digest('hex')).toBe('bca231205fcde1095af549dcfab330637e7593d3');
  });

  it('gives back what was written, for any values', () => {
    const row = fc.record({
      a: fc.string({ unit: 'binary' }),
      b: fc.uint8Array(),
      c: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      d: fc.double(),
      e: fc.jsonValue(),
      f: fc.int32Array({ minLength: 1 }),
      g: fc.double(),
    });
    const columns = {
      a: 'str',
      b: 'bytes',
      c: 'int64',
      d: 'float64',
      e: 'json',
      f: 'ndarray',
      g: 'str_float',
    };
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (rows) => {
        const writer = new MdsWriter({ dir, columns, sizeLimit: 1000, hashes: ['sha256'] });
        for (const each of rows) writer.write(each);
        writer.finish();
        const back = [...new MdsReader(dir)].map((each) => ({ ...each, c: BigInt(each.c as number) }));
        expect(back).toEqual(rows.map((each) => ({ ...each, e: JSON.parse(JSON.stringify(each.e)) })));
      }),
      { numRuns: 25 },
    );
  });

  it('keeps shapes and dtypes of arrays', () => {
    const wide = { dtype: 'uint8', shape: [1, 300], data: new Uint8Array(300).fill(9) } as const;
    const half = { dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0) } as const;
    const writer = new MdsWriter({ dir, columns: { x: 'ndarray', y: 'ndarray:float32:2,2' } });
    const y = { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } as const;
    writer.write({ x: wide, y });
    writer.write({ x: half, y });
    expect(() => writer.write({ x: wide, y: Float32Array.of(1, 2, 3, 4) })).toThrow(/shape \[4\]/);
    writer.finish();
    expect([...new MdsReader(dir)]).toEqual([
      { x: wide, y },
      { x: half, y },
    ]);
  });

  it.each([
    [{ n: 256 }, /column "n".*256/],
    [{ n: -1 }, /-1/],
    [{ n: 1.5 }, /1\.5/],
    [{}, /missing/],
  ])('refuses %j for a uint8', (sample, message) => {
    const writer = new MdsWriter({ dir, columns: { n: 'uint8' } });
    expect(() => writer.write(sample)).toThrow(expect.objectContaining({ code: 'sample_invalid' }));
    expect(() => writer.write(sample)).toThrow(message);
  });

  it('refuses unknown encodings and digests', () => {
    expect(() => new MdsWriter({ dir, columns: { n: 'complex' } })).toThrow(/"complex"/);
    expect(() => new MdsWriter({ dir, columns: { n: 'int' }, compression: 'zstd:99' })).toThrow(/"zstd:99"/);
    expect(() => new MdsWriter({ dir, columns: { n: 'int' }, hashes: ['crc32'] })).toThrow(/"crc32"/);
  });

  it('says why it refuses pickles', () => {
    const unsafe = expect.objectContaining({ code: 'shard_encoding_unsafe' });
    expect(() => new MdsWriter({ dir, columns: { n: 'pkl' } })).toThrow(unsafe);
    const writer = new MdsWriter({ dir, columns: { n: 'json' } });
    writer.write({ n: 1 });
    writer.finish();
    const path = join(dir, 'index.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"json"', '"pkl"'));
    expect(() => new MdsReader(dir)).toThrow(unsafe);
    expect(() => new MdsReader(dir)).toThrow(/executes/);
  });

  it('leaves no readable data set before finish, nor the old one', () => {
    const first = new MdsWriter({ dir, columns: { n: 'int' } });
    first.write({ n: 1 });
    first.finish();
    const second = new MdsWriter({ dir, columns: { n: 'int' } });
    second.write({ n: 2 });
    expect(() => new MdsReader(dir)).toThrow(expect.objectContaining({ code: 'shard_index_invalid' }));
    second.finish();
    expect([...new MdsReader(dir)]).toEqual([{ n: 2 }]);
  });
});

describe('MdsReader on a folder that fills', () => {
  const code = (expected: string) => expect.objectContaining({ code: expected });

  it('needs only the index at first, names the file of each sample, and lets files go again', () => {
    const source = join(dir, 'source');
    const writer = new MdsWriter({
      dir: source,
      columns: { text: 'str' },
      sizeLimit: 400,
      hashes: ['sha256'],
    });
    for (let i = 0; i < 40; i++) writer.write({ text: `sample ${i}` });
    writer.finish();
    const local = join(dir, 'local');
    mkdirSync(local);
    copyFileSync(join(source, 'index.json'), join(local, 'index.json'));
    expect(() => new MdsReader(local)).toThrow(code('shard_missing'));

    const reader = new MdsReader(local, { files: 'arriving' });
    expect(reader.numSamples).toBe(40);
    expect(() => reader.read(39)).toThrow(code('shard_missing'));
    const shard = reader.shardOf(39);
    expect(shard).toBe(reader.numShards - 1);
    const { basename, sizeBytes, hashes } = reader.shardFile(shard);
    const bytes = readFileSync(join(source, basename));
    expect(sizeBytes).toBe(bytes.length);
    expect(hashes).toEqual({ sha256: createHash('sha256').update(bytes).digest('hex') });
    writeFileSync(join(local, basename), bytes.subarray(1));
    expect(() => reader.read(39)).toThrow(code('shard_truncated'));
    writeFileSync(join(local, basename), bytes);
    expect(reader.read(39)).toEqual({ text: 'sample 39' });
    reader.forget(shard);
    rmSync(join(local, basename));
    expect(() => reader.read(39)).toThrow(code('shard_missing'));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(local, basename), bytes);
    expect(() => reader.read(39)).toThrow(code('shard_corrupt'));
    reader.close();
  });
});

describe('MdsReader on large and compressed shards', () => {
  const text = (i: number) => `${i} ${'word '.repeat(60 + (i % 50))}`;
  const write = (folder: string, compression: string | null) => {
    const options = {
      dir: folder,
      columns: { text: 'str' },
      sizeLimit: 200_000,
      hashes: ['xxh64'],
      compression,
    };
    const writer = new MdsWriter(options);
    for (let i = 0; i < 1500; i++) writer.write({ text: text(i) });
    writer.finish();
  };

  it('reads forward, backward and here and there, whatever memory it may take', () => {
    write(dir, null);
    for (const cacheBytes of [0, 250_000, 2 ** 28]) {
      const reader = new MdsReader(dir, { cacheBytes });
      expect(reader.numShards).toBeGreaterThan(2);
      for (let k = 0; k < 4500; k++) {
        const i = k < 1500 ? k : k < 3000 ? 2999 - k : (k * 769) % 1500;
        if (reader.read(i).text !== text(i)) expect.fail(`sample ${i} with ${cacheBytes} bytes`);
      }
      reader.close();
    }
  });

  it('unpacks into a folder once, and reads raw files where another reader left them', () => {
    const packed = join(dir, 'packed');
    write(packed, 'zstd');
    const unpackTo = join(dir, 'raw');
    expect(new MdsReader(packed, { unpackTo, cacheBytes: 0 }).read(1499).text).toBe(text(1499));
    const [copy] = readdirSync(unpackTo);
    expect(new MdsReader(packed, { unpackTo }).read(1499).text).toBe(text(1499));
    expect([...new MdsReader(packed)].map((each) => each.text)[1400]).toBe(text(1400));
    copyFileSync(join(unpackTo, copy!), join(packed, copy!));
    rmSync(join(packed, `${copy}.zstd`));
    expect(new MdsReader(packed).read(1499).text).toBe(text(1499));
    const damaged = readFileSync(join(packed, copy!));
    damaged[damaged.length - 1]! ^= 1;
    writeFileSync(join(packed, copy!), damaged);
    const corrupt = expect.objectContaining({ code: 'shard_corrupt' });
    expect(() => new MdsReader(packed).read(1499)).toThrow(corrupt);
  });
});

describe('MdsReader on damaged data', () => {
  const write = (hashes: string[]) => {
    const writer = new MdsWriter({ dir, columns: { text: 'str' }, sizeLimit: 400, hashes });
    for (let i = 0; i < 40; i++) writer.write({ text: `sample ${i}` });
    writer.finish();
  };
  const shard = () => join(dir, 'shard.00001.mds');
  const code = (expected: string) => expect.objectContaining({ code: expected });

  it('notices any flipped byte by the digest, and only in the shard it is in', () => {
    write(['sha256']);
    const good = readFileSync(shard());
    for (let at = 0; at < good.length; at += 7) {
      const bad = Buffer.from(good);
      bad[at]! ^= 1 << (at % 8);
      writeFileSync(shard(), bad);
      const reader = new MdsReader(dir);
      expect(reader.read(0)).toEqual({ text: 'sample 0' });
      expect(() => reader.verifyAll(), `byte ${at}`).toThrow(code('shard_corrupt'));
      reader.close();
    }
  });

  it('without a digest, never reads outside its bounds: the old value, another text or a coded error', () => {
    write([]);
    const good = readFileSync(shard());
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at]! ^= 0x80;
      writeFileSync(shard(), bad);
      const reader = new MdsReader(dir);
      try {
        for (const sample of reader) expect(typeof sample.text).toBe('string');
      } catch (error) {
        expect(error).toEqual(code('shard_corrupt'));
      }
      reader.close();
    }
  });

  it('notices a truncated, a longer and a missing shard when opening', () => {
    write(['sha256']);
    const good = readFileSync(shard());
    writeFileSync(shard(), Buffer.concat([good, Buffer.from('x')]));
    expect(() => new MdsReader(dir)).toThrow(code('shard_corrupt'));
    truncateSync(shard(), good.length - 1);
    expect(() => new MdsReader(dir)).toThrow(code('shard_truncated'));
    rmSync(shard());
    expect(() => new MdsReader(dir)).toThrow(code('shard_missing'));
  });

  it('notices a shard truncated while it is open', () => {
    const writer = new MdsWriter({ dir, columns: { text: 'str' } });
    for (let i = 0; i < 100; i++) writer.write({ text: 'word '.repeat(1000) });
    writer.finish();
    const reader = new MdsReader(dir);
    reader.read(99);
    truncateSync(join(dir, 'shard.00000.mds'), 100_000);
    expect(() => reader.read(98)).toThrow(code('shard_truncated'));
  });

  it.each([
    ['not JSON', '{'],
    ['another version', '{"version":1,"shards":[]}'],
    ['no shards', '{"version":2}'],
  ])('refuses an index: %s', (_, text) => {
    writeFileSync(join(dir, 'index.json'), text);
    expect(() => new MdsReader(dir)).toThrow(code('shard_index_invalid'));
  });

  it.each([
    ['column_encodings', ['complex']],
    ['column_sizes', [8]],
    ['column_names', []],
    ['samples', -1],
    ['raw_data', { basename: '../../etc/passwd', bytes: 1, hashes: {} }],
  ])('refuses an index whose %s is %j', (key, value) => {
    write([]);
    const path = join(dir, 'index.json');
    const index = JSON.parse(readFileSync(path, 'utf8'));
    index.shards[0][key] = value;
    writeFileSync(path, JSON.stringify(index));
    expect(() => new MdsReader(dir)).toThrow(code('shard_index_invalid'));
  });
});
