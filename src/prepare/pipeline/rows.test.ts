import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { init, compress as zstd } from '@bokuweb/zstd-wasm';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../base/index.ts';
import { prepareConfigSchema } from '../config.ts';
import { prepareCorpus } from '../corpus.ts';
import { type Document, readDocuments } from '../documents.ts';

let root: string;
const text = (i: number) => `Row ${i}: ${'words that are long enough to be kept, '.repeat(3)}"quoted"\n`;

beforeAll(async () => {
  await init();
  root = mkdtempSync(join(tmpdir(), 'dabarex-rows-'));
  mkdirSync(join(root, 'json'));
  const lines = (from: number) =>
    Array.from({ length: 50 }, (_, i) => JSON.stringify({ id: i, body: text(from + i) })).join('\n');
  writeFileSync(join(root, 'json', 'a.jsonl'), `${lines(0)}\n\n`);
  writeFileSync(join(root, 'json', 'b.jsonl.gz'), gzipSync(lines(50)));
  writeFileSync(join(root, 'json', 'c.jsonl.zst'), zstd(Buffer.from(lines(100))));
  writeFileSync(join(root, 'json', 'd.ndjson'), `\ufeff${lines(150)}`);
  writeFileSync(join(root, 'json', 'e.ndjson.gz'), gzipSync(lines(200)));
  writeFileSync(join(root, 'json', 'f.ndjson.zst'), zstd(Buffer.from(lines(250))));
  mkdirSync(join(root, 'parquet [1]'));
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  for (const [name, from] of [
    ['a', 0],
    ['b', 50],
  ] as const) {
    const query = `SELECT i AS id, 'Row ' || i || ': ' || repeat('words that are long enough to be kept, ', 3) || '"quoted"' || chr(10) AS body FROM range(${from}, ${from + 50}) t(i)`;
    await connection.run(
      `COPY (${query}) TO '${join(root, 'parquet [1]', `${name}.parquet`)}' (FORMAT parquet)`,
    );
  }
  connection.closeSync();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function prepare(dir: string, source: object) {
  const sources = [{ textField: 'body', ...source }];
  const config = parseConfig(prepareConfigSchema, { domains: { rows: { sources } } }, 'test');
  return prepareCorpus(config, { dir: join(root, dir), cacheDir: join(root, 'cache'), baseDir: root });
}

async function documentsOf(dir: string): Promise<Document[]> {
  const documents: Document[] = [];
  for (const split of ['train', 'heldout']) {
    for await (const each of readDocuments(join(root, dir, 'documents', split, 'rows.jsonl')))
      documents.push(each);
  }
  return documents.sort((a, b) => numberOf(a) - numberOf(b));
}
const numberOf = ({ text }: Document) => Number(/^Row (\d+)/.exec(text)![1]);

describe('sources of rows', () => {
  it('reads JSON Lines, packed or not, a document a line that knows its line', async () => {
    await prepare('json-out', { url: 'file:json', format: 'jsonl' });
    const documents = await documentsOf('json-out');
    expect(documents.map((each) => each.text)).toEqual(Array.from({ length: 300 }, (_, i) => text(i)));
    expect(documents[49]!.path).toBe('a.jsonl:50');
    expect(documents[50]!.path).toBe('b.jsonl.gz:1');
    expect(documents[299]!.path).toBe('f.ndjson.zst:50');
    execFileSync('tar', ['cf', join(root, 'rows.tar'), '-C', root, 'json']);
    await prepare('tar-out', { url: 'rows.tar', format: 'jsonl' });
    expect((await documentsOf('tar-out')).map((each) => each.text)).toEqual(
      documents.map(({ text }) => text),
    );
  });

  it('reads Parquet, in the order of the file, whatever its folder is called', async () => {
    await prepare('parquet-out', { url: 'file:parquet [1]#*.parquet', format: 'parquet' });
    const documents = await documentsOf('parquet-out');
    expect(documents.map((each) => each.text)).toEqual(Array.from({ length: 100 }, (_, i) => text(i)));
    expect(documents[50]!.path).toBe('b.parquet:1');
  });

  it('extracts the text of a row by its format', async () => {
    const rows = Array.from({ length: 9 }, (_, i) => JSON.stringify({ text: `<!-- note -->${text(i)}` }));
    writeFileSync(join(root, 'marked.jsonl'), rows.join('\n'));
    await prepare('marked', {
      url: 'marked.jsonl',
      format: 'jsonl',
      textField: 'text',
      textFormat: 'markdown',
    });
    expect((await documentsOf('marked')).map((each) => each.text)).toEqual(
      Array.from({ length: 9 }, (_, i) => text(i)),
    );
  });

  const good = (i: number) => JSON.stringify({ body: text(i) });
  it.each([
    ['not-json', '{"body": "cut sh', /not-json\.jsonl:2 is not JSON/],
    ['no-text', '{"text": "elsewhere"}', /no-text\.jsonl:2 has no text under "body" \(it has text\)/],
    ['number', '{"body": 3}', /number\.jsonl:2 has no text/],
    ['prototype', '[]', /prototype\.jsonl:2 has no text/],
    ['latin1', Buffer.from('{"body": "caf\xe9"}', 'latin1'), /latin1\.jsonl:2 is not UTF-8/],
  ])('names the row that is %s, or counts it', async (name, row, message) => {
    const around = [Buffer.from(`${good(0)}\n`), Buffer.from(row), Buffer.from(`\n${good(1)}\n${good(2)}\n`)];
    writeFileSync(join(root, `${name}.jsonl`), Buffer.concat(around));
    const source = { url: `${name}.jsonl`, format: 'jsonl' };
    await expect(prepare(name, source)).rejects.toMatchObject({
      code: 'source_corrupt',
      message: expect.stringMatching(message),
    });
    const { manifest } = await prepare(name, { ...source, badRows: 'reject' });
    expect((await documentsOf(name)).map(numberOf)).toEqual([0, 1, 2]);
    expect(Object.values(manifest.domains.rows!.sources[0]!.rejects)).toEqual([1]);
    expect(Object.values(manifest.stages[0]!.rejected)[0]![0]!.path).toBe(`${name}.jsonl:2`);
  });

  it('refuses a line without end', async () => {
    const path = join(root, 'endless.jsonl');
    writeFileSync(path, '{"body": "');
    truncateSync(path, 136 << 20);
    await expect(prepare('endless', { url: 'endless.jsonl', format: 'jsonl' })).rejects.toMatchObject({
      code: 'source_too_large',
      fields: { line: 1 },
    });
    rmSync(path);
  });

  it('refuses a file of text that is too large for one document', async () => {
    const path = join(root, 'large.txt');
    writeFileSync(path, '');
    truncateSync(path, 130 << 20);
    await expect(prepare('large', { url: 'large.txt' })).rejects.toMatchObject({ code: 'source_too_large' });
    rmSync(path);
  });

  it('says what a damaged file is', async () => {
    writeFileSync(
      join(root, 'cut.jsonl.gz'),
      readFileSync(join(root, 'json', 'b.jsonl.gz')).subarray(0, 100),
    );
    await expect(prepare('cut', { url: 'cut.jsonl.gz', format: 'jsonl' })).rejects.toMatchObject({
      code: 'source_corrupt',
    });
    const packed = readFileSync(join(root, 'json', 'c.jsonl.zst'));
    writeFileSync(join(root, 'cut.jsonl.zst'), packed.subarray(0, packed.length >> 1));
    await expect(prepare('cut', { url: 'cut.jsonl.zst', format: 'jsonl' })).rejects.toMatchObject({
      code: 'source_corrupt',
      message: expect.stringContaining('cut.jsonl.zst'),
    });
    writeFileSync(
      join(root, 'cut.parquet'),
      readFileSync(join(root, 'parquet [1]', 'a.parquet')).subarray(0, 200),
    );
    await expect(prepare('cut', { url: 'cut.parquet', format: 'parquet' })).rejects.toMatchObject({
      code: 'source_corrupt',
    });
    const source = { url: 'file:parquet [1]', format: 'parquet', textField: 'txt' };
    await expect(prepare('cut', source)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('it has id (BIGINT), body (VARCHAR)'),
    });
  });

  it('says that an empty corpus is empty', async () => {
    writeFileSync(join(root, 'empty.jsonl'), '\n\n');
    await expect(prepare('empty', { url: 'empty.jsonl', format: 'jsonl' })).rejects.toMatchObject({
      code: 'data_empty',
    });
    mkdirSync(join(root, 'nothing'));
    await expect(prepare('nothing', { url: 'file:nothing' })).rejects.toMatchObject({
      code: 'source_not_found',
    });
  });
});
