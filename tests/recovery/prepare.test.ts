/** Work that makes files out of files, killed in the middle, on a disk that fills, in folders that are not its own: it ends with the same bytes. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
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
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MdsReader } from '../../src/stream/index.ts';
import { saveTokenizer, trainChar } from '../../src/tokenizer/index.ts';
import { repository } from '../house/repository.ts';
import { type PrepareTask, runTask } from './prepare-tasks.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const NUM_FILES = 8;
const LINES = 800;
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
let root: string;
let folders = 0;
const children = new Set<ChildProcessWithoutNullStreams>();
const mounted: string[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-prepare-'));
  // For the process of another user.
  chmodSync(root, 0o755);
  mkdirSync(join(root, 'in'));
  const line = (i: number) =>
    `${JSON.stringify({ id: i, text: `Line ${i} is one of very many lines, and as long as text must be to be kept.` })}\n`;
  const files = Array.from({ length: NUM_FILES }, (_, f) =>
    Array.from({ length: LINES }, (_, i) => line(f * LINES + i)).join(''),
  );
  for (const [f, text] of files.entries()) writeFileSync(join(root, 'in', `${f}.jsonl`), text);
  writeFileSync(join(root, 'large.jsonl'), files.join('').repeat(10));
  writeFileSync(join(root, 'packed.jsonl.gz'), gzipSync(files.join('')));
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const [from, to] = [join(root, 'in', '*.jsonl'), join(root, 'rows.parquet')];
  await connection.run(`COPY (SELECT text FROM read_json('${from}')) TO '${to}' (FORMAT parquet)`);
  connection.closeSync();
  saveTokenizer(
    join(root, 'tokenizer.json'),
    trainChar(['Line is one of very many lines, and as long text must be to kept. 0123456789']),
  );
});
afterAll(async () => {
  for (const child of children) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (const path of mounted) execFileSync('umount', [path]);
  rmSync(root, { recursive: true, force: true });
});

const folder = () => join(root, String(folders++));
const converting = (out: string): PrepareTask => ({
  kind: 'convert',
  input: join(root, 'in'),
  out,
  partBytes: 100_000,
});
const indexing = (out: string, names: readonly string[]): PrepareTask => ({
  kind: 'index',
  files: names.map((name) => join(root, name)),
  out,
  tokenizer: join(root, 'tokenizer.json'),
});
/** One of each kind. */
const all = (out: string): PrepareTask[] => [
  converting(join(out, 'shards')),
  indexing(join(out, 'texts'), ['packed.jsonl.gz', 'rows.parquet']),
  { kind: 'documents', input: join(root, 'in'), out: join(out, 'documents') },
];

interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  /** what it has told so far */
  readonly told: Record<string, unknown>[];
  /** how each task ended */
  readonly ended: Promise<string[]>;
}

/** @param limits flags of `ulimit` */
function start(
  tasks: readonly PrepareTask[],
  { limits = '', uid }: { limits?: string; uid?: number } = {},
): Started {
  const tsx = join(repository, 'node_modules/tsx/dist/loader.mjs');
  const command = [
    process.execPath,
    '--import',
    tsx,
    new URL('./prepare-process.ts', import.meta.url).pathname,
  ];
  const script = `${limits === '' ? '' : `ulimit ${limits}; `}exec "$@"`;
  const child = spawn(
    'bash',
    ['-c', script, 'bash', ...command, JSON.stringify(tasks)],
    uid ? { uid, gid: uid } : {},
  );
  children.add(child);
  const told: Record<string, unknown>[] = [];
  let rest = '';
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) told.push(JSON.parse(line));
  });
  const ended = once(child, 'close').then(([code]) => {
    children.delete(child);
    // Something went wrong without a code of ours.
    if (code !== 0 && child.signalCode === null) throw new Error(errors);
    return told.flatMap(({ ended: how }) => (how === undefined ? [] : [how as string]));
  });
  return { child, told, ended };
}

/** Kills a process as soon as `condition` holds, while it is still at work. */
async function killOnce(started: Started, condition: () => boolean): Promise<void> {
  while (!condition() && started.child.exitCode === null) await sleep(1);
  started.child.kill('SIGKILL');
  expect(await started.ended).toEqual([]);
}

/** Names and contents of all files below a folder, those left out that tell how long something took or when a file was seen. */
function treeOf(path: string): Record<string, string> {
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter(
    ({ parentPath, name }) => !/times\.json$/.test(name) && !/(stamps|stages\/.*)$/.test(parentPath),
  );
  return Object.fromEntries(
    files
      .filter((each) => each.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((file) => [file.slice(path.length), createHash('sha1').update(readFileSync(file)).digest('hex')]),
  );
}

let wholeTree: Record<string, string> | undefined;
/** What all kinds of work leave where nothing happens. */
async function whole(): Promise<Record<string, string>> {
  if (wholeTree) return wholeTree;
  const out = folder();
  for (const task of all(out)) await runTask(task);
  wholeTree = treeOf(out);
  return wholeTree;
}

describe('killed by SIGKILL in the middle', () => {
  it('a conversion goes on with what is whole, and ends with the same bytes', async () => {
    const out = folder();
    const shards = join(out, 'shards');
    const parts = () =>
      existsSync(shards) ? readdirSync(shards).filter((name) => /^part-\d+$/.test(name)) : [];
    await killOnce(start([converting(shards)]), () => parts().length >= 2);
    expect(existsSync(join(shards, 'index.json'))).toBe(false);
    const done: number[] = [];
    await runTask(converting(shards), (each) => done.push(each.done));
    expect(done[0]).toBeGreaterThan(100_000);
    const wanted = Object.entries(await whole()).filter(([name]) => name.startsWith('/shards/'));
    expect(treeOf(out)).toEqual(Object.fromEntries(wanted));
    expect(new MdsReader(shards).numSamples).toBe(NUM_FILES * LINES);
  });

  it('indexing goes on after the blocks that are done, and ends with the same bytes', async () => {
    const [fresh, out] = [folder(), folder()];
    await runTask(indexing(fresh, ['large.jsonl']));
    const indexes = join(out, 'indexes');
    const journalBytes = () => {
      const name = existsSync(indexes) && readdirSync(indexes).find((each) => each.endsWith('.journal'));
      return name ? readFileSync(join(indexes, name)).length : 0;
    };
    await killOnce(start([indexing(out, ['large.jsonl'])]), () => journalBytes() > 0);
    const done: number[] = [];
    await runTask(indexing(out, ['large.jsonl']), (each) => each.stage === 'index' && done.push(each.done));
    expect(done[0]).toBeGreaterThan(1.5 * 2 ** 20);
    expect(treeOf(indexes)).toEqual(treeOf(join(fresh, 'indexes')));
  });
});

/** Whether a file system of a given size can be mounted here. */
function canMount(): boolean {
  if (!isRoot || process.platform !== 'linux') return false;
  const path = mkdtempSync(join(tmpdir(), 'dabarex-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path], { stdio: 'ignore' });
    execFileSync('umount', [path]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(path, { recursive: true });
  }
}

const mounts = canMount();

describe('on a disk that is full', () => {
  it.skipIf(!mounts)(
    `work says so, and goes on when there is space${mounts ? '' : ' (skipped: nothing can be mounted here)'}`,
    async () => {
      const out = folder();
      mkdirSync(out);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100k', 'tmpfs', out]);
      mounted.push(out);
      const [shards, texts, documents] = all(out);
      // Each fills the disk at another moment, again and again.
      let failures = 0;
      for (const task of [shards!, texts!, documents!]) {
        let used = Number(execFileSync('du', ['-sk', out]).toString().split('\t')[0]);
        for (let free = 30; ; free = Math.ceil(free * 2.5)) {
          execFileSync('mount', ['-o', `remount,size=${used + free}k`, out]);
          const error = await runTask(task).catch((thrown) => thrown);
          if (error === undefined) break;
          expect(error).toMatchObject({ code: 'disk_full', message: expect.stringMatching(/run again/) });
          failures++;
          used = Number(execFileSync('du', ['-sk', out]).toString().split('\t')[0]);
        }
        execFileSync('mount', ['-o', 'remount,size=64m', out]);
      }
      expect(failures).toBeGreaterThan(6);
      expect(treeOf(out)).toEqual(await whole());
    },
  );

  it('for one file, work says so, and a later call ends with the same bytes', async () => {
    const out = folder();
    const codes = await start(all(out), { limits: '-f 20' }).ended;
    expect(codes).toEqual(['disk_full', 'disk_full', 'disk_full']);
    for (const task of all(out)) await runTask(task);
    expect(treeOf(out)).toEqual(await whole());
  });
});

describe('in a folder that is not its own', () => {
  it('work says so, with the path', async () => {
    const out = folder();
    mkdirSync(out);
    chmodSync(out, 0o555);
    const started = start(all(out), isRoot ? { uid: NOBODY } : {});
    expect(await started.ended).toEqual(['not_permitted', 'not_permitted', 'not_permitted']);
    for (const { message } of started.told.filter(({ ended }) => ended !== undefined))
      expect(message).toContain(out);
    expect(readdirSync(out)).toEqual([]);
    chmodSync(out, 0o755);
  });
});
