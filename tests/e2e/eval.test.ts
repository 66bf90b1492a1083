/** `dabarex eval` on runs where they are: read only, while they train, wherever they stand. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcome, run } from '../../src/cli/run.suite.ts';
import { RunDirectory, readRecipe } from '../../src/runs/index.ts';
import { Workplace } from './tiny-run.ts';

const hasXz = spawnSync('xz', ['--version']).status === 0;
const place = new Workplace();
afterAll(() => place.close());

function call(...args: string[]): Promise<Outcome> {
  return run(args, {
    cwd: place.dir,
    runsDir: join(place.dir, 'runs'),
    cacheDir: join(place.dir, 'cache'),
    threads: 2,
    watchInterrupts: () => undefined,
  });
}

/** Every file of a folder with its time and size. */
function traceOf(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .map((path) => [path, statSync(join(folder, path))] as const)
    .map(([path, stat]) => `${path} ${stat.size} ${stat.isFile() ? stat.mtimeMs : ''}`)
    .sort();
}

const change = { train: { duration: '6step', prompts: [] }, data: { heldOut: { fraction: 0.3 } } };

beforeAll(async () => {
  expect(await call('up', place.recipe('tiny', change), '--no-serve')).toMatchObject({ code: 0 });
}, 240_000);

describe('eval', () => {
  it('reads a run in use, by name, and changes nothing in it', async () => {
    const path = place.run('tiny');
    const holder = RunDirectory.open({
      runsDir: join(place.dir, 'runs'),
      name: 'tiny',
      recipe: readRecipe(path),
      now: Date.now,
    });
    const before = traceOf(path);
    const { code, stdout, stderr } = await call('eval', 'tiny', '--json');
    expect(stderr).not.toContain('error');
    expect(code).toBe(0);
    expect(traceOf(path)).toEqual(before);
    holder.close();
    const { domains } = JSON.parse(readFileSync(place.run('tiny', 'evaluation.json'), 'utf8'));
    expect(JSON.parse(stdout).domains).toEqual(domains);
  });

  it('takes the folder it is given, not the run of that name, and makes no run', async () => {
    const copy = join(place.dir, 'elsewhere', 'runs', 'renamed');
    mkdirSync(join(copy, '..'), { recursive: true });
    cpSync(place.run('tiny'), copy, { recursive: true });
    for (const text of ['prose.txt', 'notes.txt']) {
      cpSync(join(place.dir, text), join(place.dir, 'elsewhere', text));
    }
    const runs = readdirSync(join(place.dir, 'runs'));
    const { code, stdout } = await call('eval', 'elsewhere/runs/renamed', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      run: copy,
      model: expect.stringContaining(join(copy, 'checkpoints')),
    });
    expect(readdirSync(join(place.dir, 'runs'))).toEqual(runs);
    expect(existsSync(join(copy, 'lock'))).toBe(false);
  });

  it.skipIf(!hasXz)('of some tokens compresses the very bytes of those (needs the xz command)', async () => {
    const { stdout } = await call('eval', 'tiny', '--tokens', '500', '--json');
    const { prose } = JSON.parse(stdout).domains;
    const documents = (readdirSync(place.dataDir, { recursive: true }) as string[]).find((path) =>
      path.endsWith(join('heldout', 'prose.txt')),
    )!;
    const text = readFileSync(join(place.dataDir, documents));
    expect(prose.text_bytes).toBeGreaterThan(500);
    expect(prose.text_bytes).toBeLessThan(text.length / 2);
    // The first token is nobody's target: the text begins behind it.
    const sizes = [1, 2, 3, 4, 5, 6, 7, 8].map((lead) => {
      const input = text.subarray(lead, lead + prose.text_bytes);
      return (8 * spawnSync('xz', ['-9e', '-c'], { input }).stdout.byteLength) / prose.text_bytes;
    });
    expect(sizes).toContain(prose.xz_bits_per_byte);
    expect(prose.bits_per_byte).toBeGreaterThan(0);
  });

  it('trains the tokenizer on the mix of the curriculum', () => {
    const manifests = (readdirSync(place.dataDir, { recursive: true }) as string[])
      .filter((path) => path.startsWith('tokenizers') && path.endsWith('manifest.json'))
      .map((path) => JSON.parse(readFileSync(join(place.dataDir, path), 'utf8')));
    expect(manifests.map((each) => each.weights)).toEqual([{ prose: 0.5, notes: 0.5 }]);
  });

  it('gives the loss of characters as such', async () => {
    const chars = place.recipe('chars', { ...change, tokenizer: { kind: 'char', vocabSize: undefined } });
    const { stdout } = await call('up', chars, '--no-serve');
    expect(stdout).toMatch(/^held out .*nats\/char/m);
    expect((await call('eval', 'tiny')).stdout).toMatch(/^held out .*nats\/token/m);
  });
});
