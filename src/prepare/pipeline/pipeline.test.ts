import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../base/index.ts';
import { prepareConfigSchema } from '../config.ts';
import { prepareCorpus } from '../corpus.ts';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const PREPARE = new URL('../index.ts', import.meta.url).href;

let root: string;
const children: ChildProcess[] = [];

/** Six sources, so six shards: code with minified files, prose that says some things twice. */
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-pipeline-'));
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
    mkdirSync(join(root, name));
    for (let i = 0; i < 20; i++) {
      const line = i % 7 === 3 ? 'x'.repeat(2500) : `line ${i} of some text `.repeat(6);
      const own = i % 5 === 4 ? '' : `${name} says ${i}. `;
      writeFileSync(join(root, name, `${i}.ts`), `${own}${`${line}\n`.repeat(1 + (i % 4))}`);
    }
  }
  await prepare('once');
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

const sources = (...names: string[]) => ({
  sources: names.map((name) => ({ url: `file:${name}`, format: 'code' })),
});
const data = (more = {}) => ({
  domains: { one: sources('a', 'b', 'c'), two: sources('d', 'e', 'f') },
  heldOut: { kind: 'hash', fraction: 0.1 },
  ...more,
});
const prepare = (dir: string, more = {}, options = {}) =>
  prepareCorpus(parseConfig(prepareConfigSchema, data(more), 'test'), {
    dir: join(root, dir),
    cacheDir: join(root, 'cache'),
    baseDir: root,
    ...options,
  });

/** Prepares in a process of its own; `body` may use `options`, `dir` and `progress`, the reports so far. */
function start(dir: string, body: string): ChildProcess {
  const script = `
    import { prepareConfigSchema, prepareCorpus } from ${JSON.stringify(PREPARE)};
    const root = ${JSON.stringify(root)};
    const options = { dir: root + '/' + ${JSON.stringify(dir)}, cacheDir: root + '/cache', baseDir: root };
    ${body}
    await prepareCorpus(prepareConfigSchema.parse(${JSON.stringify(data())}), options);
  `;
  const path = join(root, `${dir}-${children.length}.mts`);
  writeFileSync(path, script);
  const child = spawn(process.execPath, ['--import', TSX, path], { stdio: ['ignore', 'inherit', 'inherit'] });
  children.push(child);
  return child;
}

/** Kills the process at the first report of so much or more: what other tasks have done comes in leaps. */
const killAt = (stage: string, done: number) =>
  `options.onProgress = (p) => p.stage === ${JSON.stringify(stage)} && p.done >= ${done} && process.kill(process.pid, 'SIGKILL');`;

const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Every file of a finished corpus but the times. */
function corpusOf(dir: string): Record<string, string> {
  const folder = join(root, dir, 'documents');
  const paths = readdirSync(folder, { recursive: true }) as string[];
  const files = paths.filter((path) => statSync(join(folder, path)).isFile() && path !== 'times.json').sort();
  return Object.fromEntries(files.map((path) => [path, hashOf(join(folder, path))]));
}

function filesOfStage(dir: string, stage: string, pattern: RegExp): Record<string, number> {
  const stages = join(root, dir, 'stages');
  const folder = readdirSync(stages).find((name) => name.startsWith(`${stage}-`))!;
  const names = readdirSync(join(stages, folder)).filter((name) => pattern.test(name));
  return Object.fromEntries(names.sort().map((name) => [name, statSync(join(stages, folder, name)).mtimeMs]));
}

describe('the pipeline', () => {
  it('gives the same bytes with one thread and with three', async () => {
    await prepare('threads', {}, { threads: 3 });
    expect(corpusOf('threads')).toEqual(corpusOf('once'));
  });

  it('counts what each stage did to each domain, with samples', async () => {
    const { manifest, reused } = await prepare('once');
    expect(reused).toBe(true);
    const [read, minified, length, duplicates, split] = manifest.stages;
    expect(read!.domains.one).toMatchObject({ in: { documents: 60 }, out: { documents: 60 } });
    expect(minified!.domains.one!.rejects.minified!.documents).toBe(9);
    expect(minified!.rejected.minified).toHaveLength(4);
    expect(minified!.rejected.minified![0]!.text.length).toBeLessThan(700);
    expect(length!.domains.one!.out).toEqual(minified!.domains.one!.out);
    // The fours of the six sources are equal but for their lengths: only the first source keeps its own.
    expect(duplicates!.domains.one!.rejects.duplicate!.documents).toBeGreaterThan(4);
    expect(split!.domains.two!.out.documents).toBe(duplicates!.domains.two!.out.documents);
    const kept = manifest.domains.two!;
    expect(kept.train.documents + kept.heldout.documents).toBe(split!.domains.two!.out.documents);
  });

  it('makes anew only what follows a setting that changed', async () => {
    await prepare('changed');
    const before = filesOfStage('changed', 'minified', /./);
    const stages = () =>
      readdirSync(join(root, 'changed', 'stages')).filter((name) => !name.startsWith('read'));
    const folders = stages();
    const pipeline = [
      { stage: 'minified', formats: ['code'] },
      { stage: 'length', minBytes: 200 },
    ];
    await prepare('changed', { pipeline });
    const made = stages().filter((name) => !folders.includes(name));
    expect(made.map((name) => name.replace(/-\w+$/, ''))).toEqual(['length', 'split']);
    expect(filesOfStage('changed', 'minified', /./)).toEqual(before);
  });

  it('applies a stage to the domains and formats it names, and lets the rest pass', async () => {
    const pipeline = [
      { stage: 'minified', domains: ['two'], maxLineLength: 2000 },
      { stage: 'length', formats: ['text'], minBytes: 1 << 20 },
    ];
    const { manifest } = await prepare('selected', { pipeline });
    const [, minified, length] = manifest.stages;
    expect(Object.keys(minified!.domains)).toEqual(['two']);
    expect(length!.domains).toEqual({});
    const { one, two } = manifest.domains;
    expect(one!.train.documents + one!.heldout.documents).toBe(60);
    expect(two!.train.documents + two!.heldout.documents).toBe(51);
  });

  it('continues a killed run at the first unfinished shard, to the same bytes', async () => {
    const child = start('killed', killAt('prepare: exact-duplicates', 3));
    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGKILL');
    const before = filesOfStage('killed', 'exact-duplicates', /\d\.json$/);
    expect(Object.keys(before)).toHaveLength(3);
    await prepare('killed');
    const after = filesOfStage('killed', 'exact-duplicates', /\d\.json$/);
    expect(Object.keys(after)).toHaveLength(6);
    expect(after).toMatchObject(before);
    expect(corpusOf('killed')).toEqual(corpusOf('once'));
  });

  it('is done by three processes at once, of which one is killed and started again', async () => {
    const share = (task: number, more = '') =>
      start('tasks', `options.share = { task: ${task}, of: 3 }; options.silentMs = 60_000; ${more}`);
    const killed = share(1, killAt('prepare: length', 2));
    const others = [share(0), share(2)];
    const ended = others.map((child) => once(child, 'exit'));
    expect((await once(killed, 'exit'))[1]).toBe('SIGKILL');
    const again = once(share(1), 'exit');
    for (const [code] of await Promise.all([...ended, again])) expect(code).toBe(0);
    expect(corpusOf('tasks')).toEqual(corpusOf('once'));
    expect(readdirSync(join(root, 'tasks')).sort()).toEqual(['documents', 'stages']);
  });

  it('does the share of a task that never gives a sign', async () => {
    const warnings: string[] = [];
    const options = { share: { task: 0, of: 3 }, silentMs: 1, warn: (text: string) => warnings.push(text) };
    await prepare('alone', {}, options);
    expect(corpusOf('alone')).toEqual(corpusOf('once'));
    expect(warnings.sort()).toEqual([2, 3].map((n) => expect.stringContaining(`Task ${n} gives no sign`)));
  });

  it('makes a shard again that was lost or damaged, or says which is', async () => {
    await prepare('damaged');
    const stages = join(root, 'damaged', 'stages');
    const folder = readdirSync(stages).find((name) => name.startsWith('minified-'))!;
    const shard = join(stages, folder, '00000.jsonl.br');
    rmSync(shard);
    rmSync(join(root, 'damaged', 'documents'), { recursive: true });
    await prepare('damaged');
    expect(corpusOf('damaged')).toEqual(corpusOf('once'));
    const bytes = readFileSync(shard);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(shard, bytes);
    const pipeline = [{ stage: 'minified', formats: ['code'] }];
    await expect(prepare('damaged', { pipeline })).rejects.toMatchObject({
      code: 'documents_invalid',
      message: expect.stringContaining(folder),
    });
  });
});

describe('data.pipeline', () => {
  const parse = (pipeline: unknown) => parseConfig(prepareConfigSchema, data({ pipeline }), 'test');

  it.each([
    [[{ stage: 'lenght' }], 'config_invalid', /pipeline\.0\.stage: "lenght" must be "length", which is/],
    [[{ stage: 'length', minBites: 3 }], 'config_unknown_key', /pipeline\.0\.minBites.*minBytes/],
    [[{ stage: 'length', minBytes: -1 }], 'config_invalid', /pipeline\.0\.minBytes: -1 must be at least 0/],
    [[{ stage: 'length', domains: ['three'] }], 'config_invalid', /pipeline\.0\.domains\.0: .*one, two/],
    ['length', 'config_invalid', /pipeline: .*must be a list/],
  ])('refuses %j', (pipeline, code, message) => {
    expect(() => parse(pipeline)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it.each(['1MB', 'much', '2 GB'])('refuses %s of memory', (memory) => {
    expect(() => parseConfig(prepareConfigSchema, data({ memory }), 'test')).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        fields: expect.objectContaining({ path: 'memory' }),
      }),
    );
  });
});
