/**
 * What a user can get wrong on the way from text to model, through the whole command line. Every error says what, where
 * and what to do, shows no stack, and leaves nothing that a later call would trust.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import type { ErrorCode } from '../../src/base/index.ts';
import { type Outcome, run } from '../../src/cli/run.suite.ts';
import { type RecipeChange, Workplace } from './tiny-run.ts';

const UNREACHABLE = 'http://127.0.0.1:9';
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const place = new Workplace();
afterAll(() => place.close());

let registry = UNREACHABLE;

/** `dabarex ARGS` in this process: the same command line without the start of another Node. */
function call(...args: string[]): Promise<Outcome> {
  return run(args, {
    cwd: place.dir,
    runsDir: join(place.dir, 'runs'),
    cacheDir: join(place.dir, 'cache'),
    npm: { registry, cache: join(place.dir, 'npm-cache'), fetchRetries: 0 },
    threads: 2,
    watchInterrupts: () => undefined,
  });
}

const up = (name: string, change: RecipeChange = {}) => call('up', place.recipe(name, change), '--no-serve');

function expectError({ code, stderr }: Outcome, error: ErrorCode, ...parts: (string | RegExp)[]): void {
  const line = stderr.split('\n').find((each) => each.startsWith('error'));
  expect(line).toMatch(new RegExp(`^error\\[${error}\\]: .*\\.$`));
  for (const part of parts) expect(line).toMatch(part);
  expect(code).toBe(1);
  expect(stderr).not.toMatch(/^\s+at /m);
}

const short = { train: { duration: '6step', checkpointInterval: '2step', prompts: [] } };

describe('a recipe', () => {
  it('with a key misspelt names the right one', async () => {
    expectError(await up('a', { train: { batchSeqences: 4 } }), 'config_unknown_key', 'train.batchSequences');
    expect(existsSync(place.run('a'))).toBe(false);
  });

  it('that is not there, or whose text is not', async () => {
    expectError(await call('up', 'nowhere.yaml'), 'file_missing', 'nowhere.yaml');
    const change = { data: { domains: { prose: { sources: [{ url: 'file:lost.txt' }] } } } };
    expectError(await up('b', change), 'source_not_found', 'lost.txt');
    expect(place.lines('b', 'events').at(-1)).toMatchObject({
      type: 'run_failed',
      code: 'source_not_found',
      message: expect.stringContaining('lost.txt'),
    });
  });

  it('mended after a first try that failed is taken as it is now', async () => {
    const change = { data: { domains: { prose: { sources: [{ url: 'file:lost.txt' }] } } } };
    expectError(await up('mended', change), 'source_not_found');
    const second = await up('mended', short);
    expect(second.stderr).not.toContain('error[');
    expect(second.code).toBe(0);
  });

  it.each([
    ['sequences longer than the context', { sequenceLength: 128 }, /train\.sequenceLength.*64/],
    ['no duration', { duration: '0step' }, /train\.duration/],
    ['a duration that is a share of itself', { duration: '1dur' }, /train\.duration/],
    ['an interval of nothing', { logInterval: '0step' }, /train\.logInterval/],
  ])('with %s is refused before any work', async (_, train, problem) => {
    expectError(await up('c', { train }), 'config_invalid', problem);
    expect(existsSync(place.run('c'))).toBe(false);
  });

  it.each([
    [
      'that names no domain',
      [{ duration: 'rest', weights: { prosa: 1 } }],
      /data\.curriculum\.0\.weights\.prosa.*prose/,
    ],
    [
      'without any weight',
      [{ duration: 'rest', weights: { prose: 0 } }],
      /data\.curriculum\.0\.weights.*not be 0/,
    ],
    [
      'that is longer than the run',
      [
        { duration: '0.7dur', weights: { prose: 1 } },
        { duration: '13step', weights: { prose: 1 } },
      ],
      /data\.curriculum.*41step together, the run 40step/,
    ],
  ])('with a curriculum %s is refused before any work', async (_, curriculum, problem) => {
    expectError(await up('c', { data: { curriculum } }), 'config_invalid', problem);
    expect(existsSync(place.run('c'))).toBe(false);
  });

  it('with the curriculum where it once stood is told where it stands now', async () => {
    const train = { phases: [{ fraction: 1, weights: { prose: 1 } }] };
    expectError(await up('c', { train }), 'config_unknown_key', /"train\.phases".*"data\.curriculum"/);
  });

  it('with a prompt too long for the context is refused before training', async () => {
    const prompts = ['the river', 'the river runs '.repeat(40)];
    expectError(await up('d', { train: { prompts } }), 'context_length_exceeded', /prompt/);
    expect(place.lines('d', 'metrics')).toEqual([]);
  });
});

describe('a source', () => {
  const pinned = (integrity: string) => ({
    data: { domains: { prose: { sources: [{ url: 'file:prose.txt', integrity }] } } },
  });
  const packaged = { data: { domains: { prose: { sources: [{ url: 'npm:tiny-text@1.0.0' }] } } } };

  it('with another hash is refused with both', async () => {
    const wanted = `sha256-${'A'.repeat(43)}=`;
    expectError(await up('e', pinned(wanted)), 'source_hash_mismatch', wanted, /found sha256-/);
    expect(existsSync(place.run('e', 'tokenizer.json'))).toBe(false);
  });

  it('that cannot be fetched is named, with the network’s reason', async () => {
    expectError(await up('f', packaged), 'source_fetch_failed', 'npm:tiny-text@1.0.0', UNREACHABLE);
  });

  it('that was fetched before is taken from the cache when its registry is gone', async () => {
    const server = await serveTarball();
    registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const recipe = place.recipe('h', packaged);
    const fetched = await call('prepare', recipe);
    server.close();
    server.closeAllConnections();
    registry = UNREACHABLE;
    expect(fetched.code).toBe(0);
    rmSync(place.dataDir, { recursive: true });
    rmSync(join(place.dir, 'npm-cache'), { recursive: true, force: true });
    expect(await call('prepare', recipe)).toMatchObject({ code: 0, stdout: fetched.stdout });
  });
});

describe('a finished run', () => {
  let weights: Buffer;
  const latest = () => place.latest('good');
  const again = (...args: string[]) => call('up', 'good.yaml', '--no-serve', ...args);

  beforeAll(async () => {
    expect(await up('good', short)).toMatchObject({ code: 0 });
    weights = readFileSync(join(latest(), 'model.safetensors'));
    cpSync(place.run('good'), join(place.dir, 'kept'), { recursive: true });
  });

  const restore = () => {
    rmSync(place.run('good'), { recursive: true });
    cpSync(join(place.dir, 'kept'), place.run('good'), { recursive: true });
  };

  it('takes another memory for preparation, but no other preparation', async () => {
    const memory = await again('--set', 'data.memory=1GB');
    expect(memory.stderr).toContain('Training is complete');
    expect(parse(readFileSync(place.run('good', 'recipe.yaml'), 'utf8')).data.memory).toBe('1GB');
    expectError(
      await again('--set', 'data.heldOut.fraction=0.2'),
      'run_recipe_differs',
      'data.heldOut.fraction is 0.1 there and 0.2',
    );
  });

  it('does not take another model under its name', async () => {
    expectError(
      await again('--set', 'model.dModel=64'),
      'run_recipe_differs',
      'model.dModel is 32 there and 64',
    );
    expect(readFileSync(join(latest(), 'model.safetensors')).equals(weights)).toBe(true);
  });

  it('does not take the checkpoint of another model, even where both recipes were changed', async () => {
    for (const path of [place.run('good', 'recipe.yaml'), join(place.dir, 'good.yaml')]) {
      const recipe = parse(readFileSync(path, 'utf8'));
      writeFileSync(path, stringify({ ...recipe, model: { ...recipe.model, dModel: 64 } }));
    }
    expectError(await again(), 'checkpoint_mismatch', /model\.safetensors/, /the model wants \[/);
    place.recipe('good', short);
    restore();
  });

  it('with its newest weights cut short goes back to the checkpoint before, says so, and ends the same', async () => {
    truncateSync(join(latest(), 'model.safetensors'), weights.length - 1);
    const { code, stderr } = await again();
    expect(code).toBe(0);
    expect(stderr).toMatch(/Falling back to .*step-00000004: .*model\.safetensors has \d+ bytes, not \d+/);
    expect(readFileSync(join(latest(), 'model.safetensors')).equals(weights)).toBe(true);
    restore();
  });

  it('with no whole checkpoint left stops', async () => {
    for (const step of ['4', '6']) {
      truncateSync(place.run('good', 'checkpoints', `step-0000000${step}`, 'model.safetensors'), 100);
    }
    expectError(await again(), 'checkpoint_incomplete', /has 100 bytes/);
    restore();
  });

  it('with a damaged or missing state does not start over in silence', async () => {
    const state = join(latest(), 'training', 'state.json');
    const text = readFileSync(state, 'utf8');
    for (const damaged of [text.replace('{', '['), text.replace('"step":', '"stop":')]) {
      writeFileSync(state, damaged);
      expectError(await again(), 'checkpoint_incomplete', /state\.json/, 'remove');
    }
    rmSync(state);
    expect((await again()).stderr).toMatch(/Falling back to .*step-00000004: .*state\.json is missing/);
    restore();
  });

  it.each(['cut short', 'with a flipped byte'])(
    'with a token shard %s makes the shards anew',
    async (damage) => {
      const shard = trainingShard();
      const whole = readFileSync(shard);
      if (damage === 'cut short') truncateSync(shard, whole.length - 1);
      else writeFileSync(shard, flipped(whole));
      rmSync(place.run('good', 'checkpoints'), { recursive: true });
      expect(await again()).toMatchObject({ code: 0 });
      expect(readFileSync(shard).equals(whole)).toBe(true);
      expect(readFileSync(join(latest(), 'model.safetensors')).equals(weights)).toBe(true);
    },
  );

  it('is not continued on a text that has changed since', async () => {
    const path = join(place.dir, 'prose.txt');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('bridge', 'bridle'));
    expectError(await again(), 'checkpoint_mismatch', /old text back/);
    writeFileSync(path, text);
    expect((await again()).stderr).toContain('Training is complete');
  });

  it('as a model folder with weights cut short is not loaded', async () => {
    const folder = join(place.dir, 'folder');
    cpSync(latest(), folder, { recursive: true });
    truncateSync(join(folder, 'model.safetensors'), weights.length - 4);
    expectError(await call('generate', 'folder', 'the river'), 'checkpoint_corrupt', 'model.safetensors');
    rmSync(join(folder, 'manifest.json'));
    expectError(await call('generate', 'folder', 'the river'), 'safetensors_invalid', 'model.safetensors');
  });

  it('refuses a prompt longer than its context', async () => {
    const prompt = 'the river runs '.repeat(40);
    expectError(await call('generate', 'good', prompt), 'context_length_exceeded', /context is 64 tokens/);
  });
});

describe('training', () => {
  it('that diverges stops before the update and keeps the last checkpoint', async () => {
    const change = {
      train: { ...short.train, optimizer: { learningRate: 1e30 }, checkpointInterval: '1step' },
    };
    expectError(await up('g', change), 'training_diverged', /learningRate/);
    expect(place.lines('g', 'events').at(-1)).toMatchObject({
      type: 'run_failed',
      code: 'training_diverged',
    });
    expect(existsSync(place.run('g', 'evaluation.json'))).toBe(false);
    expect(existsSync(place.run('g', 'lock'))).toBe(false);
  });
});

/** The training shard of the prose, the same for all recipes of this file that come so far. */
function trainingShard(): string {
  const all = readdirSync(place.dataDir, { recursive: true, encoding: 'utf8' });
  const found = all.filter((path) => path.endsWith(join('train', 'prose', 'shard.00000.mds')));
  expect(found).toHaveLength(1);
  return join(place.dataDir, found[0]!);
}

/** A registry of one package, tiny-text@1.0.0, which holds the prose. */
async function serveTarball(): Promise<Server> {
  mkdirSync(join(place.dir, 'package'));
  cpSync(join(place.dir, 'prose.txt'), join(place.dir, 'package', 'prose.txt'));
  const tarball = execFileSync('tar', ['cz', '-C', place.dir, 'package']);
  const server = createServer((request, response) => {
    if (request.url?.endsWith('.tgz')) response.end(tarball);
    else {
      const dist = { tarball: `http://${request.headers.host}/tiny-text.tgz` };
      const versions = { '1.0.0': { name: 'tiny-text', version: '1.0.0', dist } };
      response.end(JSON.stringify({ name: 'tiny-text', 'dist-tags': { latest: '1.0.0' }, versions }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length - 10]! ^= 1;
  return copy;
}
