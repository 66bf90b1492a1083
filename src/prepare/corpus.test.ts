import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../base/index.ts';
import { prepareConfigSchema } from './config.ts';
import { prepareCorpus } from './corpus.ts';
import { type Document, readDocuments } from './documents.ts';
import { paragraphBlocks } from './split.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-corpus-'));
  mkdirSync(join(root, 'prose'));
  mkdirSync(join(root, 'code'));
  for (let i = 0; i < 40; i++) {
    writeFileSync(
      join(root, 'prose', `${i}.txt`),
      `Speech ${i}. ${'We hold these words. '.repeat(20 + i)}\n`,
    );
    writeFileSync(
      join(root, 'code', `${i}.ts`),
      `// Copyright A\nexport const n${i} = ${'1 + '.repeat(50)}0;\n`,
    );
  }
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const configOf = (data: unknown) => parseConfig(prepareConfigSchema, data, 'test');
const both = () =>
  configOf({
    domains: {
      prose: { sources: [{ url: 'file:prose#*.txt' }] },
      code: { sources: [{ url: 'file:code#*.ts', format: 'code', exclude: ['39.*'] }] },
    },
    heldOut: { kind: 'hash', fraction: 0.1 },
  });
const prepare = (config = both(), dir = 'out', more = {}) =>
  prepareCorpus(config, { dir: join(root, dir), cacheDir: join(root, 'cache'), baseDir: root, ...more });

async function documentsOf(documentsDir: string, part: string): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const each of readDocuments(join(documentsDir, part))) documents.push(each);
  return documents;
}

describe('prepareCorpus', () => {
  it('splits every document to one side, cleaned, about the fraction of the bytes held out', async () => {
    const { documentsDir, manifest, reused } = await prepare();
    expect(reused).toBe(false);
    const train = await documentsOf(documentsDir, 'train/code.jsonl');
    const heldOut = await documentsOf(documentsDir, 'heldout/code.jsonl');
    expect(train.length + heldOut.length).toBe(39);
    expect(new Set([...train, ...heldOut].map((each) => each.path)).size).toBe(39);
    expect(train.every((each) => each.text.startsWith('export const'))).toBe(true);
    const { code } = manifest.domains;
    expect(code!.heldout.documents).toBe(heldOut.length);
    const share = code!.heldout.bytes / (code!.heldout.bytes + code!.train.bytes);
    expect(share).toBeGreaterThanOrEqual(0.1);
    expect(share).toBeLessThan(0.13);
    const text = readFileSync(join(documentsDir, 'heldout/code.txt'), 'utf8');
    expect(text).toBe(heldOut.map((each) => each.text).join(''));
    expect(statSync(join(documentsDir, 'heldout/code.txt')).size).toBe(code!.heldout.bytes);
  });

  it('gives the same bytes again, and reuses a finished result', async () => {
    const first = await prepare();
    const other = await prepare(both(), 'other');
    expect(other.manifest).toEqual(first.manifest);
    expect((await prepare()).reused).toBe(true);
  });

  it('prepares anew when an input, the config or an output changed', async () => {
    const { documentsDir, manifest } = await prepare();
    const path = join(documentsDir, 'train/prose.jsonl');
    const bytes = readFileSync(path);
    const flipped = Buffer.from(bytes);
    flipped[100]! ^= 1;
    writeFileSync(path, flipped);
    expect((await prepare()).reused).toBe(false);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    const pipeline = [{ stage: 'length', minBytes: 221 }, { stage: 'exact-duplicates' }];
    const stricter = await prepare(configOf({ ...both(), pipeline }));
    expect(stricter.reused).toBe(false);
    expect(stricter.manifest.domains.code!.sources[0]!.rejects.too_short).toBeGreaterThan(0);
    writeFileSync(join(root, 'prose', '3.txt'), `Another speech. ${'New words. '.repeat(30)}`);
    const changed = await prepare();
    expect(changed.reused).toBe(false);
    expect(changed.manifest.key).not.toBe(manifest.key);
  });

  it('trusts nothing of a run that was stopped in the middle', async () => {
    const controller = new AbortController();
    const onProgress = ({ stage }: { stage: string }) => {
      if (stage === 'prepare: length') controller.abort();
    };
    await expect(prepare(both(), 'out', { onProgress, signal: controller.signal })).rejects.toThrow('abort');
    expect(readdirSync(join(root, 'out'))).toEqual(['stages']);
    expect((await prepare()).reused).toBe(false);
    expect((await prepare()).reused).toBe(true);
  });

  it('trusts nothing of a process that was killed while writing', async () => {
    const script = `
      import { prepareConfigSchema, prepareCorpus } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
      const root = ${JSON.stringify(root)};
      const sources = (url, format) => ({ sources: [{ url, format }] });
      const domains = { prose: sources('file:prose', 'text'), code: sources('file:code#*.ts', 'code') };
      const onProgress = ({ stage }) => stage === 'prepare: split' && process.kill(process.pid, 'SIGKILL');
      const config = prepareConfigSchema.parse({ domains });
      await prepareCorpus(config, { dir: root + '/out', cacheDir: root + '/cache', baseDir: root, onProgress });
    `;
    writeFileSync(join(root, 'killed.mts'), script);
    const child = spawnSync(process.execPath, ['--import', 'tsx', join(root, 'killed.mts')], {
      encoding: 'utf8',
    });
    expect(child.signal, child.stderr).toBe('SIGKILL');
    const left = `documents.tmp-${child.pid}`;
    expect(readdirSync(join(root, 'out')).sort()).toEqual(['documents.lock', left, 'stages']);
    const resumed = await prepare();
    expect(resumed.reused).toBe(false);
    expect(resumed.manifest).toEqual((await prepare(both(), 'fresh')).manifest);
    expect(readdirSync(join(root, 'out'))).toEqual(['documents', 'stages']);
  });

  it('by key leaves the documents of another project alone whose recipe reads the same', async () => {
    const config = configOf({ domains: { prose: { sources: [{ url: 'file:text' }] } } });
    const projects = ['one', 'two'].map((name) => join(root, name));
    for (const project of projects) {
      mkdirSync(join(project, 'text'), { recursive: true });
      for (let i = 0; i < 9; i++)
        writeFileSync(join(project, 'text', `${i}.txt`), `${project} ${i} `.repeat(9));
    }
    const prepareIn = (baseDir: string) => prepare(config, 'shared', { baseDir, byKey: true });
    const [one, two] = [await prepareIn(projects[0]!), await prepareIn(projects[1]!)];
    expect(two.documentsDir).not.toBe(one.documentsDir);
    expect(await prepareIn(projects[0]!)).toMatchObject({ documentsDir: one.documentsDir, reused: true });
    const [first] = await documentsOf(two.documentsDir, 'train/prose.jsonl');
    expect(first!.text).toContain(projects[1]!);
  });

  it('makes the same documents once where two want them, and tells the second whom it waits for', async () => {
    const warnings: string[] = [];
    const begun: string[] = [];
    const call = (name: string) =>
      prepare(both(), 'shared', {
        byKey: true,
        warn: (message: string) => warnings.push(message),
        onBegin: () => begun.push(name),
      });
    const results = await Promise.all([call('a'), call('b')]);
    expect(results.map((each) => each.reused).sort()).toEqual([false, true]);
    expect(begun).toHaveLength(1);
    expect(warnings).toEqual([expect.stringContaining(`Waiting for process ${process.pid}`)]);
    expect(results[0].manifest).toEqual(results[1].manifest);
  });

  it('stops waiting for another when it is interrupted', async () => {
    const controller = new AbortController();
    const first = prepare(both(), 'shared');
    const more = { signal: controller.signal, warn: () => controller.abort(new Error('enough')) };
    await expect(prepare(both(), 'shared', more)).rejects.toThrow(/enough|aborted/);
    expect((await first).reused).toBe(false);
  });

  it('does not replace a folder that it did not make', async () => {
    mkdirSync(join(root, 'out/documents'), { recursive: true });
    writeFileSync(join(root, 'out/documents/thesis.txt'), 'years of work');
    await expect(prepare()).rejects.toMatchObject({ code: 'path_unusable' });
    expect(readdirSync(join(root, 'out'))).toEqual(['documents']);
    expect(readFileSync(join(root, 'out/documents/thesis.txt'), 'utf8')).toBe('years of work');
  });

  it('removes beside its folder only what a killed process left', async () => {
    for (const name of ['tmp-1', 'tmp-replaced', 'tmp-of-mine']) {
      mkdirSync(join(root, 'out', `documents.${name}`), { recursive: true });
    }
    await prepare();
    expect(readdirSync(join(root, 'out')).sort()).toEqual(['documents', 'documents.tmp-of-mine', 'stages']);
  });

  it('says how a text is given that is not there', async () => {
    const config = configOf({ domains: { play: { sources: [{ url: 'file:lost.txt' }] } } });
    await expect(prepare(config)).rejects.toMatchObject({
      code: 'source_not_found',
      message: expect.stringContaining('--set data.domains.play.sources.0.url=file:PATH'),
    });
  });

  it('does not take a file of a folder that changes between its hash and its use', async () => {
    const onBegin = () => writeFileSync(join(root, 'prose', '3.txt'), 'Another speech. '.repeat(30));
    await expect(prepare(both(), 'out', { onBegin })).rejects.toMatchObject({ code: 'source_hash_mismatch' });
    expect(readdirSync(join(root, 'out'))).toEqual(['stages']);
  });

  it.each([
    ['file:prose#[z-a]', /sources\.0\.url: .*\[z-a\]/],
    ['file:///%zz', /sources\.0\.url: .*%zz/],
    ['npm:prose@latest', /sources\.0\.url: .*exact version/],
  ])('refuses the source %s with its place in the recipe', (url, message) => {
    const config = { domains: { prose: { sources: [{ url }] } } };
    expect(() => configOf(config)).toThrow(
      expect.objectContaining({ code: 'config_invalid', message: expect.stringMatching(message) }),
    );
  });

  it('refuses an exclude and an integrity that cannot be read', () => {
    for (const wrong of [{ exclude: ['[z-a]'] }, { integrity: 'sha512-abc' }]) {
      const config = { domains: { prose: { sources: [{ url: 'file:prose', ...wrong }] } } };
      expect(() => configOf(config)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    }
  });

  it('keeps one copy of a text, across domains', async () => {
    for (const name of ['a', 'b']) writeFileSync(join(root, 'code', `same-${name}.ts`), 'x'.repeat(100));
    writeFileSync(join(root, 'prose', 'same.txt'), `${'x'.repeat(100)}\n`);
    const { manifest } = await prepare();
    expect(manifest.domains.prose!.sources[0]!.rejects).toEqual({});
    expect(manifest.domains.code!.sources[0]!.rejects).toEqual({ duplicate: 2 });
  });

  it('samples down to limitBytes whatever the names of the files', async () => {
    const limited = () => ({ domains: { prose: { sources: [{ url: 'file:prose', limitBytes: 5000 }] } } });
    const texts = async (dir: string) => {
      const { documentsDir } = await prepare(configOf(limited()), dir);
      const all = [
        ...(await documentsOf(documentsDir, 'train/prose.jsonl')),
        ...(await documentsOf(documentsDir, 'heldout/prose.jsonl')),
      ];
      return all.map((each) => each.text).sort();
    };
    const before = await texts('a');
    const bytes = before.join('').length;
    expect(bytes).toBeGreaterThanOrEqual(5000);
    expect(bytes).toBeLessThan(6300);
    for (const name of readdirSync(join(root, 'prose'))) {
      const path = join(root, 'prose', name);
      writeFileSync(join(root, 'prose', `z-${40 - Number.parseInt(name, 10)}.txt`), readFileSync(path));
      rmSync(path);
    }
    expect(await texts('b')).toEqual(before);
  });

  it('cuts the last tenth of one text by characters', async () => {
    const text = Array.from({ length: 1003 }, (_, i) => `Line ${i}\n`).join('');
    writeFileSync(join(root, 'play.txt'), text);
    const tail = { domains: { play: { sources: [{ url: 'play.txt' }] } }, heldOut: { kind: 'tail' } };
    const { documentsDir } = await prepare(configOf(tail));
    const [train] = await documentsOf(documentsDir, 'train/play.jsonl');
    const [heldOut] = await documentsOf(documentsDir, 'heldout/play.jsonl');
    expect(train!.text).toBe(text.slice(0, Math.floor(text.length * 0.9)));
    expect(train!.text + heldOut!.text).toBe(text);
  });

  it('holds blocks of a lone long text out', async () => {
    const text = Array.from({ length: 900 }, (_, i) => `Paragraph ${i}. ${'Call me. '.repeat(9)}\n\n`).join(
      '',
    );
    writeFileSync(join(root, 'novel.txt'), text);
    const { manifest } = await prepare(configOf({ domains: { novel: { sources: [{ url: 'novel.txt' }] } } }));
    const { train, heldout } = manifest.domains.novel!;
    expect(heldout.documents).toBe(1);
    expect(train.bytes + heldout.bytes).toBe(text.length);
    expect(paragraphBlocks(text).join('')).toBe(text);
  });

  it('says which domain stays empty', async () => {
    writeFileSync(join(root, 'short.txt'), 'too short');
    const config = configOf({ domains: { tiny: { sources: [{ url: 'short.txt' }] } } });
    await expect(prepare(config)).rejects.toMatchObject({ code: 'data_empty', fields: { domain: 'tiny' } });
  });
});

it('reads documents with unusual line ends, and names a line that is none', async () => {
  const path = join(root, 'd.jsonl');
  const document = { id: 'a', source: 's', path: 'p', text: 'one\u2028two\u2029three\u0085four' };
  writeFileSync(path, `${JSON.stringify(document)}\n{"id": 3`);
  const read = readDocuments(path);
  expect((await read.next()).value).toEqual(document);
  await expect(read.next()).rejects.toMatchObject({ code: 'documents_invalid', fields: { lineNumber: 2 } });
});
