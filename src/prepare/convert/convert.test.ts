import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { compress, init } from '@bokuweb/zstd-wasm';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MdsReader, MdsWriter } from '../../stream/index.ts';
import { saveTokenizer, trainChar } from '../../tokenizer/index.ts';
import { convertToMds } from './convert.ts';

let dir: string;
let out: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-convert-'));
  out = join(dir, 'out');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const code = (expected: string) => expect.objectContaining({ code: expected });
const rows = (from = out) => [...new MdsReader(from)];
const lines = (values: readonly unknown[]) => values.map((each) => `${JSON.stringify(each)}\n`).join('');

function put(name: string, content: string | Uint8Array): string {
  const path = join(dir, 'in', name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** Names and contents of all files. */
function treeOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length), createHash('sha1').update(readFileSync(path)).digest('hex')];
    }),
  );
}

describe('JSONL', () => {
  const values = Array.from({ length: 50 }, (_, i) => ({
    id: i,
    score: i / 2 + 0.25,
    text: `line ${i} ä`,
    tags: [i, i + 1],
    meta: i % 2 ? { i } : null,
  }));

  it('infers columns, from plain and compressed files alike', async () => {
    put('a.jsonl', lines(values.slice(0, 20)));
    put('b.jsonl.gz', gzipSync(lines(values.slice(20, 40))));
    await init();
    put('c.jsonl.zst', compress(Buffer.from(lines(values.slice(40)))));
    const report = await convertToMds(join(dir, 'in'), out, { threads: 1 });
    expect(report.columns).toEqual({
      id: 'int',
      meta: 'json',
      score: 'float64',
      tags: 'ndarray:int32',
      text: 'str',
    });
    expect(rows()).toEqual(values.map((each) => ({ ...each, tags: Int32Array.from(each.tags) })));
    expect(await convertToMds(join(dir, 'in'), out, { threads: 1 })).toMatchObject({ reused: true });
    await expect(convertToMds(join(dir, 'in'), out, { threads: 1, compression: 'gz' })).rejects.toThrow(
      code('path_unusable'),
    );
  });

  it.each([
    ['no JSON', '{"a":1}\n{"a":\n', 'documents_invalid', /line 2/],
    ['no object', '{"a":1}\n\n[1]\n', 'documents_invalid', /line 3/],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d, 10]), 'documents_invalid', /line 1 is not UTF-8/],
    [
      'another type far down',
      lines([...Array.from({ length: 1200 }, () => ({ a: 'x' })), { a: 5 }]),
      'sample_invalid',
      /line 1201.*--columns/,
    ],
    ['nothing', '\n\n', 'data_empty', /no row/],
  ])('refuses %s', async (_, content, expected, message) => {
    const path = put('bad.jsonl', content);
    const failure = await convertToMds(path, out, { threads: 1 }).catch((error) => error);
    expect(failure).toEqual(code(expected));
    expect(failure.message).toMatch(message);
    const left = existsSync(out) ? readdirSync(out).filter((name) => !name.startsWith('.')) : [];
    expect(left).toEqual([]);
  });

  it('refuses a damaged gzip and a folder with nothing to convert', async () => {
    put('a.jsonl.gz', gzipSync(lines(values)).subarray(0, 100));
    await expect(convertToMds(join(dir, 'in'), out, { threads: 1 })).rejects.toThrow(
      code('documents_invalid'),
    );
    mkdirSync(join(dir, 'empty'));
    await expect(convertToMds(join(dir, 'empty'), out, { threads: 1 })).rejects.toThrow(code('data_empty'));
    await expect(convertToMds(join(dir, 'absent'), out, { threads: 1 })).rejects.toThrow(
      code('file_missing'),
    );
  });
});

it('reads Parquet, by the splits of a Hugging Face folder', async () => {
  mkdirSync(join(dir, 'in', 'data'), { recursive: true });
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  for (const [name, from] of [
    ['train-00000-of-00002', 0],
    ['train-00001-of-00002', 10],
    ['test-00000-of-00001', 20],
  ] as const) {
    const query = `SELECT i AS id, 'text ' || i AS text, [i, 7] AS tokens, {'a': i} AS extra FROM range(${from}, ${from + 10}) t(i)`;
    await connection.run(`COPY (${query}) TO '${join(dir, 'in', 'data', `${name}.parquet`)}'`);
  }
  instance.closeSync();
  const report = await convertToMds(join(dir, 'in'), out, {
    threads: 2,
    compression: 'zstd',
    hashes: ['xxh64'],
  });
  expect(report.splits.map(({ name, numSamples }) => [name, numSamples])).toEqual([
    ['test', 10],
    ['train', 20],
  ]);
  expect(rows(join(out, 'train'))[15]).toEqual({
    id: 15,
    text: 'text 15',
    tokens: Int32Array.of(15, 7),
    extra: { a: 15 },
  });
  const broken = put('broken.parquet', 'PAR1 nonsense');
  await expect(convertToMds(broken, join(dir, 'out2'), { threads: 1 })).rejects.toThrow(
    code('documents_invalid'),
  );
});

it('makes texts samples, or tokens cut into sequences', async () => {
  put('b.txt', 'abcabc');
  put('deep/a.txt', 'cab');
  await convertToMds(join(dir, 'in'), out, { threads: 1 });
  expect(rows()).toEqual([
    { path: 'b.txt', text: 'abcabc' },
    { path: 'deep/a.txt', text: 'cab' },
  ]);
  const tokenizer = trainChar('abc');
  const path = join(dir, 'tokenizer.json');
  saveTokenizer(path, tokenizer);
  const cut = join(dir, 'cut');
  const tokenisation = { tokenizer: path, textColumn: 'text', sequenceLength: 3 };
  await convertToMds(join(dir, 'in'), cut, { threads: 1, tokenisation });
  const text = rows(cut).map((each) => tokenizer.decode(each.tokens as Int32Array));
  expect(text.map((each) => each.slice(0, 3))).toEqual(['abc', 'abc', '<|e']);
  await expect(
    convertToMds(join(dir, 'in'), join(dir, 'x'), {
      threads: 1,
      tokenisation: { ...tokenisation, textColumn: 'no' },
    }),
  ).rejects.toThrow(code('documents_invalid'));
});

it('copies values of MDS as they are', async () => {
  const from = join(dir, 'mds');
  const writer = new MdsWriter({
    dir: from,
    columns: { j: 'json', t: 'ndarray:int32', z: 'int8' },
    sizeLimit: 500,
  });
  for (let i = 0; i < 60; i++) writer.write({ j: Buffer.from('{"a":1.0}'), t: Int32Array.of(i, i), z: i });
  writer.finish();
  await convertToMds(from, out, {
    threads: 1,
    compression: 'snappy',
    columns: { j: 'json', t: 'ndarray:int32' },
  });
  const reader = new MdsReader(out);
  expect(reader.numSamples).toBe(60);
  expect(reader.read(59)).toEqual({ j: { a: 1 }, t: Int32Array.of(59, 59) });
  expect(Buffer.from(reader.readRaw(3).j!).toString()).toBe('{"a":1.0}');
  await expect(convertToMds(from, join(dir, 'x'), { threads: 1, columns: { j: 'str' } })).rejects.toThrow(
    code('config_invalid'),
  );
});

it('gives the same for any number of threads, and after an interruption', async () => {
  const files = ['a', 'b', 'c', 'd'];
  for (const name of files) put(`${name}.jsonl`, lines([{ name }, { name: name.repeat(100_000) }]));
  const options = { partBytes: 150_000 };
  await convertToMds(join(dir, 'in'), out, { ...options, threads: 1 });
  const whole = treeOf(out);
  expect(Object.keys(whole).filter((name) => name.endsWith('.mds')).length).toBe(4);
  const again = join(dir, 'again');
  const controller = new AbortController();
  const { signal } = controller;
  const onProgress = ({ done }: { done: number }) => done >= 200_000 && controller.abort(new Error('stop'));
  await expect(
    convertToMds(join(dir, 'in'), again, { ...options, threads: 1, onProgress, signal }),
  ).rejects.toThrow('stop');
  expect(existsSync(join(again, 'part-00000', 'index.json'))).toBe(true);
  expect(existsSync(join(again, 'index.json'))).toBe(false);
  await convertToMds(join(dir, 'in'), again, { ...options, threads: 2 });
  expect(treeOf(again)).toEqual(whole);
});

it('refuses a folder that another process writes, or that holds other things', async () => {
  const path = put('a.jsonl', '{"a":1}\n');
  const both = await Promise.allSettled([1, 2].map(() => convertToMds(path, out, { threads: 1 })));
  const refused = both.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  expect(refused).toEqual([expect.objectContaining({ code: 'run_locked' })]);
  writeFileSync(join(dir, 'mine.txt'), 'x');
  await expect(convertToMds(path, dir, { threads: 1 })).rejects.toThrow(code('path_unusable'));
});
