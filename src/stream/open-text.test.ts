import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TokenBuffer, type Tokenizer, trainBpe, trainChar } from '../tokenizer/index.ts';
import { compressionOf } from './compression.ts';
import { type OpenTextOptions, openTextReader } from './open-text.ts';
import { lineBlocks } from './rows/blocks.ts';

const WORDS = [
  'the cat',
  ' sat',
  " it's",
  '\n\n',
  ' 3.14',
  ' naïve',
  '日本語。',
  '🙂',
  '"q"',
  '\\',
  '\t',
  '\u2028',
  '<|endoftext|>',
  'é',
  '/',
  '\b',
];
const bpe = trainBpe({
  texts: [WORDS.join('').repeat(40), 'the cat sat on the mat, it was the best of times'],
  vocabSize: 320,
});
const char = trainChar([WORDS.join('')]);
const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom(...WORDS), maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
);
let root: string;
let numFolders = 0;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-text-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function folder(): string {
  const path = join(root, String(numFolders++));
  mkdirSync(path);
  return path;
}

function fileOf(content: string | Uint8Array, name = 'a.jsonl'): string {
  const path = join(folder(), name);
  writeFileSync(path, content);
  return path;
}

const lineOf = (text: string, more: object = {}) => `${JSON.stringify({ id: 1, ...more, text })}\n`;
const open = (files: readonly string[], more: Partial<OpenTextOptions> = {}) =>
  openTextReader(files, {
    tokenizer: bpe,
    sampleTokens: 5,
    cacheDir: join(root, 'cache'),
    threads: 2,
    ...more,
  });

/** The definition: every document encoded whole. */
function streamOf(texts: readonly string[], tokenizer: Tokenizer = bpe): Int32Array {
  const out = new TokenBuffer();
  for (const text of texts) {
    tokenizer.encodeInto(text, out);
    out.push(tokenizer.endOfTextId);
  }
  return out.slice();
}

async function expectStream(
  files: readonly string[],
  expected: Int32Array,
  more: Partial<OpenTextOptions> = {},
): Promise<void> {
  const reader = await open(files, more);
  const step = (more.sampleTokens ?? 5) - 1;
  expect(reader.numTokens).toBe(expected.length);
  expect(reader.numSamples).toBe(Math.floor((expected.length - 1) / step));
  // Not in order: samples are found without those before them.
  const order = Array.from({ length: reader.numSamples }, (_, k) => k).reverse();
  for (const k of order) {
    const { tokens } = reader.read(k);
    const wanted = expected.subarray(k * step, (k + 1) * step + 1);
    if (Buffer.compare(Buffer.from(tokens.buffer), Buffer.from(wanted.slice().buffer)) !== 0)
      expect([...tokens]).toEqual([...wanted]);
  }
  reader.close();
}

describe('the tokens of text files', () => {
  it('are those of the documents encoded whole, whatever the chunks', async () => {
    const escaped = (text: string) =>
      JSON.stringify(text).replace(
        /[^ -~]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
    const documents = fc.array(
      fc.oneof(
        anyText,
        fc.array(anyText, { minLength: 20, maxLength: 40 }).map((parts) => parts.join(' ')),
      ),
      { minLength: 1, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(
        documents,
        fc.constantFrom(64, 300),
        fc.constantFrom(bpe, char),
        async (texts, chunkBytes, tokenizer) => {
          const wellFormed = texts.map((text) => Buffer.from(`${text} end of it`).toString());
          const expected = streamOf(wellFormed, tokenizer);
          const lines = wellFormed.map((text, i) =>
            i % 2 === 0
              ? lineOf(text, { meta: { text: 'no' } })
              : `\n{"text": 1, "text" :${escaped(text)} , "x":["text"]}\r\n`,
          );
          await expectStream([fileOf(lines.join(''))], expected, { chunkBytes, tokenizer });
          const files = wellFormed.map((text, i) => fileOf(`${i % 2 === 0 ? '\ufeff' : ''}${text}`, 'a.txt'));
          await expectStream(
            files,
            streamOf(
              wellFormed.map((text, i) => (i % 2 === 1 ? text.replace(/^\ufeff/, '') : text)),
              tokenizer,
            ),
            { chunkBytes, tokenizer },
          );
        },
      ),
      { numRuns: 25 },
    );
  });

  it('are the same from gzip, zstd and Parquet, in the order of the files', async () => {
    const texts = Array.from({ length: 400 }, (_, i) => `Document ${i} ${WORDS.slice(i % 13).join(' ')}`);
    const expected = streamOf([...texts, ...texts]);
    const lines = texts.map((text) => lineOf(text)).join('');
    const plain = fileOf(lines);
    await expectStream([plain, fileOf(gzipSync(lines), 'a.jsonl.gz')], expected);
    const packed = compressionOf('zstd')!.pack(Buffer.from(lines));
    await expectStream([fileOf(packed, 'a.ndjson.zst'), plain], expected);
    const parquet = join(folder(), 'a.parquet');
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.run(
      `COPY (SELECT text AS body, id FROM read_json('${plain}')) TO '${parquet}' (FORMAT parquet, ROW_GROUP_SIZE 100)`,
    );
    connection.closeSync();
    await expectStream([parquet, parquet], expected, { textField: 'body' });
    await expect(open([parquet])).rejects.toThrow(/no text column "text".*body VARCHAR/);
    await expect(open([parquet], { textField: 'id' })).rejects.toMatchObject({ code: 'text_invalid' });
  });

  it('are indexed once by content, in threads, and go on after what was done when stopped', async () => {
    const line = lineOf(`${WORDS.join(' ')} `.repeat(30));
    const path = fileOf(line.repeat(Math.ceil(9_000_000 / Buffer.byteLength(line))));
    const cacheDir = folder();
    const done: number[] = [];
    const stop = new AbortController();
    const onProgress = ({ stage, done: bytes }: { stage: string; done: number }) => {
      if (stage !== 'index') return;
      done.push(bytes);
      if (done.length === 3) stop.abort();
    };
    await expect(open([path], { cacheDir, onProgress, signal: stop.signal })).rejects.toThrow();
    const journal = readdirSync(join(cacheDir, 'indexes')).find((name) => name.endsWith('.journal'))!;
    // As a process leaves it that is killed while it writes.
    truncateSync(join(cacheDir, 'indexes', journal), statSync(join(cacheDir, 'indexes', journal)).size - 7);
    done.length = 0;
    const resumed = await open([path], {
      cacheDir,
      sampleTokens: 129,
      onProgress: (each) => each.stage === 'index' && done.push(each.done),
    });
    expect(done[0]).toBeGreaterThan(2 ** 20);
    const index = readdirSync(join(cacheDir, 'indexes'));
    expect(index).toHaveLength(1);
    const whole = folder();
    const fresh = await open([path], { cacheDir: whole, sampleTokens: 129, threads: 1 });
    expect(
      readFileSync(join(whole, 'indexes', index[0]!)).equals(
        readFileSync(join(cacheDir, 'indexes', index[0]!)),
      ),
    ).toBe(true);
    expect(resumed.read(7)).toEqual(fresh.read(7));
    const copy = fileOf(readFileSync(path), 'b.jsonl');
    await open([copy, path], { cacheDir, onProgress: ({ stage }) => expect(stage).toBe('hash') });
  });
});

describe('a text file that is not as it should be', () => {
  const invalid = async (
    content: string | Uint8Array,
    says: RegExp,
    name?: string,
    more?: Partial<OpenTextOptions>,
  ) => {
    const opened = open([fileOf(content, name)], more);
    await expect(opened).rejects.toMatchObject({ code: 'text_invalid' });
    await expect(opened).rejects.toThrow(says);
  };

  it('is refused with the place', async () => {
    const good = lineOf('the cat sat on the mat, the cat sat');
    const at = Buffer.byteLength(good);
    await invalid(`${good}{"text": "the ca`, new RegExp(`byte ${at} .*cut off`));
    await invalid(`${good}{"text": 1}\n`, new RegExp(`byte ${at} holds no text in its field "text"`));
    await invalid(`${good}{"body": "x"}\n`, new RegExp(`byte ${at} has no field "text" \\(it has body\\)`));
    await invalid(`${good}[1]\n`, /not a JSON object/);
    await invalid(
      Buffer.concat([Buffer.from(good), Buffer.of(0x22, 0xff, 10)]),
      new RegExp(`byte ${at} is not UTF-8`),
    );
    await invalid(Buffer.of(0x61, 0xc3), /not UTF-8/, 'a.txt');
    await invalid('x', /no format/, 'a.bin');
    await invalid('PAR1', /cannot be read as Parquet/, 'a.parquet');
    await invalid(gzipSync(good.repeat(99)).subarray(0, 60), /cannot be read as gzip/, 'a.jsonl.gz');
    await invalid('no frame at all, but text', /cannot be read as zstd/, 'a.jsonl.zst');
    await invalid(gzipSync(Buffer.alloc(1 << 20, 32)), /more than 1000 bytes/, 'a.jsonl.gz', {
      unpackLimitBytes: 1000,
    });
    await expect(open([join(root, 'absent.jsonl')])).rejects.toMatchObject({ code: 'file_missing' });
    await expect(open([root], { format: 'text' })).rejects.toMatchObject({ code: 'file_missing' });
    await expect(open([fileOf('')])).rejects.toMatchObject({ code: 'data_too_small' });
    expect(readdirSync(join(root, 'cache', 'unpacked')).filter((file) => file.includes('tmp'))).toEqual([]);
  });

  it('is refused where 16 MiB are one word', async () => {
    await invalid(Buffer.alloc(17 << 20, 0x61), /word without an end/, 'a.txt');
  });

  it('is seen when it changes while it is open, and indexed anew when opened again', async () => {
    const path = fileOf(lineOf('the cat sat on the mat').repeat(50));
    const reader = await open([path], { chunkBytes: 64 });
    reader.read(0);
    appendFileSync(path, lineOf('more'));
    expect(() => reader.read(reader.numSamples - 1)).toThrow(
      expect.objectContaining({ code: 'text_changed' }),
    );
    await expectStream([path], streamOf([...Array(50).fill('the cat sat on the mat'), 'more']));
  });

  it('is seen even where its size and time are the old ones, by the number of tokens', async () => {
    const path = fileOf(lineOf('the cat sat on the mat').repeat(50));
    utimesSync(path, 1e9, 1e9);
    const reader = await open([path], { chunkBytes: 64 });
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('cat', 'zqx'));
    utimesSync(path, 1e9, 1e9);
    expect(() => reader.read(0)).toThrow(expect.objectContaining({ code: 'text_changed' }));
  });

  it('costs a new index where the old one is damaged', async () => {
    const path = fileOf(lineOf('the cat sat on the mat').repeat(50));
    const cacheDir = folder();
    await open([path], { cacheDir });
    const [name] = readdirSync(join(cacheDir, 'indexes'));
    const bytes = readFileSync(join(cacheDir, 'indexes', name!));
    for (const damage of [
      bytes.subarray(0, 40),
      Buffer.from(bytes.map((byte, i) => (i === 20 ? byte ^ 1 : byte))),
      Buffer.alloc(9),
    ]) {
      writeFileSync(join(cacheDir, 'indexes', name!), damage);
      await expectStream([path], streamOf(Array(50).fill('the cat sat on the mat')), { cacheDir });
    }
  });
});

it('blocks after a pause are those of one go, also around long lines', async () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 40, max: 300 }), async (sizes, blockBytes) => {
      const path = fileOf(sizes.map((size) => `${'x'.repeat(size)}\n`).join(''));
      const startsFrom = async (startByte: number) => {
        const starts: number[] = [];
        for await (const block of lineBlocks(path, { blockBytes, startByte })) starts.push(block.startByte);
        return starts;
      };
      const whole = await startsFrom(0);
      for (const [i, start] of whole.entries()) expect(await startsFrom(start)).toEqual(whole.slice(i));
    }),
    { numRuns: 30 },
  );
});
