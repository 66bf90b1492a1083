import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunDirectory, tryLock } from '../../../runs/index.ts';
import { run } from '../../run.suite.ts';

const root = mkdtempSync(join(tmpdir(), 'dabarex-experiments-'));
const runsDir = join(root, 'runs');
const cacheDir = join(root, 'cache');
const context = { cwd: root, runsDir, cacheDir };
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Trained {
  readonly minBytes: number;
  readonly documents?: string;
  readonly shards?: string;
  readonly loss: number;
}

function train(name: string, at: number, { minBytes, documents, shards, loss }: Trained): void {
  const data = {
    domains: { prose: { sources: [{ url: 'file:a' }] } },
    pipeline: [{ stage: 'length', minBytes }],
    memory: `${at + 1}GB`,
  };
  const now = () => Date.parse('2026-01-01T00:00:00Z') + 1000 * at;
  const directory = RunDirectory.open({ runsDir, name, recipe: { name, data }, now });
  directory.appendEvent({ type: 'run_started' });
  directory.appendMetrics({ step: 10, loss_train_nats: loss });
  const domains = { prose: { bits_per_byte: loss / 2, loss_nats: loss } };
  directory.appendEvent({ type: 'evaluation', step: 10, domains });
  directory.appendEvent({ type: 'run_completed' });
  if (documents) {
    const record = { documents_key: documents, shards_key: shards ?? `${documents}s`, tokenizer_sha256: 'x' };
    writeFileSync(join(directory.path, 'data.json'), JSON.stringify(record));
  }
  directory.close();
}

beforeAll(() => {
  train('base', 0, { minBytes: 64, documents: 'aaaa', loss: 3 });
  train('base-again', 1, { minBytes: 64, documents: 'aaaa', loss: 3.1 });
  train('strict', 2, { minBytes: 500, documents: 'bbbb', loss: 2.5 });
  train('newer-text', 3, { minBytes: 64, documents: 'cccc', loss: 2.9 });
});

describe('dabarex data experiments', () => {
  it('tells the variants apart, what differs, and what their runs came to', async () => {
    const { stdout, code } = await run(['data', 'experiments', '--json'], context);
    expect(code).toBe(0);
    const [base, strict, newer] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(base).toMatchObject({ documents_key: 'aaaa', differences: [], is_other_text: false });
    expect(base.runs.map((each: { name: string }) => each.name)).toEqual(['base', 'base-again']);
    expect(base.runs[0]).toMatchObject({ state: 'completed', step: 10, loss_train_nats: 3 });
    expect(base.runs[0].bits_per_byte).toEqual({ prose: 1.5 });
    expect(strict.differences).toEqual([{ path: 'data.pipeline.0.minBytes', stored: 64, given: 500 }]);
    expect(newer).toMatchObject({ documents_key: 'cccc', differences: [], is_other_text: true });
  });

  it('prints them for people', async () => {
    const { stdout } = await run(['data', 'experiments'], context);
    expect(stdout).toMatch(
      /Variant 2, documents bbbb\n {2}data\.pipeline\.0\.minBytes: 64 -> 500\nrun +state/,
    );
    expect(stdout).toMatch(/^strict +completed +10 +2\.500 +1\.250$/m);
    expect(stdout).toContain('settings as in variant 1, other text or code');
    const none = await run(['data', 'experiments', '--runs-dir', join(root, 'none')], context);
    expect(none.stdout).toContain('No runs with data');
  });
});

describe('dabarex data prune', () => {
  const place = (...path: string[]) => join(cacheDir, 'data', ...path);

  it('removes what no run uses, and never what a lock holds', async () => {
    const make = (kind: string, name: string, manifest: object) => {
      mkdirSync(place(kind, name), { recursive: true });
      writeFileSync(place(kind, name, 'manifest.json'), JSON.stringify(manifest));
    };
    make('documents', 'a', { key: 'aaaa' });
    make('documents', 'z', { key: 'zzzz' });
    make('documents', 'busy', { key: 'busy' });
    make('documents', 'z.tmp-999999999', {});
    writeFileSync(place('documents', 'z.lock.tmp-999999999'), '{}');
    make('tokenizers', 'a', { key: 't', corpusKey: 'aaaa' });
    make('tokenizers', 'z', { key: 't', corpusKey: 'zzzz' });
    make('shards', 'a', { key: 'aaaas' });
    make('shards', 'other', { key: 'other', corpusKey: 'aaaa' });
    make('stages', 'length-1', {});
    const { release } = tryLock(place('documents', 'busy.lock'));
    const listed = await run(['data', 'prune'], context);
    expect(listed.stdout).toMatch(/^documents +z +\d+ B +unused$/m);
    expect(listed.stdout).toContain('--yes removes it');
    expect(existsSync(place('documents', 'z'))).toBe(true);
    const removed = await run(['data', 'prune', '--yes', '--json'], context);
    expect(removed.code).toBe(0);
    expect(readdirSync(place('documents')).sort()).toEqual(['a', 'busy', 'busy.lock']);
    expect(readdirSync(place('tokenizers'))).toEqual(['a']);
    expect(readdirSync(place('shards'))).toEqual(['a']);
    // A process at work on documents may be reading what its stages left.
    expect(readdirSync(place('stages'))).toEqual(['length-1']);
    release!();
    await run(['data', 'prune', '--yes'], context);
    expect(readdirSync(place('stages'))).toEqual([]);
    expect(readdirSync(place('documents'))).toEqual(['a']);
    expect((await run(['data', 'prune'], context)).stdout).toContain('is without use');
  });
});
