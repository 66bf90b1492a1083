import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { saveTokenizer, trainChar } from '../../../tokenizer/index.ts';
import { run as runCommand } from '../../run.suite.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-cli-data-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

// Interruptions of the tests themselves are not the commands' to watch.
const run = (args: string[]) => runCommand(args, { watchInterrupts: () => {} });
const count = 30;

/** Token shards in `shards`, made by the command itself; one in three documents is a copy. */
async function convert(...options: string[]) {
  const lines = Array.from({ length: count }, (_, i) => JSON.stringify({ text: `doc ${i % 20}`, id: i }));
  writeFileSync(join(dir, 'in.jsonl'), `${lines.join('\n')}\n`);
  const tokenizer = join(dir, 'tokenizer.json');
  saveTokenizer(tokenizer, trainChar('doc 0123456789'));
  return run(['data', 'convert', join(dir, 'in.jsonl'), join(dir, 'shards'), '--workers', '1', ...options]);
}

it('converts and inspects: columns, samples, duplicates, health', async () => {
  const made = await convert('--compression', 'zstd', '--size-limit', '0.5kb', '--json');
  expect(made.stderr).toContain('convert');
  expect(JSON.parse(made.stdout)).toMatchObject({
    columns: [
      { name: 'id', encoding: 'int' },
      { name: 'text', encoding: 'str' },
    ],
    splits: [{ name: '', num_files: 1, num_samples: count }],
  });
  const { code, stdout } = await run(['data', 'inspect', join(dir, 'shards')]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/30 samples in \d shards, .*\(zstd\)/);
  expect(stdout).toMatch(/^text +str +5 +5 +6/m);
  expect(stdout).toContain('exact duplicates: 10 of 30 values of "text"\n  samples 0 = 20');
  expect(stdout).toContain('shards are whole: sizes, sha256, offsets');
  const paths = [join(dir, 'in.jsonl'), join(dir, 'shards')];
  const again = await run(['data', 'convert', ...paths, '--compression', 'zstd', '--size-limit', '0.5kb']);
  expect(again.stdout).toContain('Already converted');
});

it('counts tokens, and shows them as text with the tokenizer', async () => {
  const tokenizer = join(dir, 'tokenizer.json');
  expect((await convert('--tokenizer', tokenizer)).code).toBe(0);
  const args = ['data', 'inspect', join(dir, 'shards'), '--tokenizer', tokenizer, '--sample', '1'];
  const table = await run(args);
  expect(table.stdout).toMatch(/sample 0\n {2}tokens: "doc 0/);
  expect(table.stdout).toMatch(/ 30 +\d+\.\d\d % +█+ +"d"/);
  const json = JSON.parse((await run([...args, '--json'])).stdout);
  expect(json.columns[0].tokens.top).toContainEqual({ id: expect.any(Number), count: 30, text: 'd' });
  expect(json.duplicates).toMatchObject({ column: 'tokens', duplicates: 10 });
});

it('lists all damage and fails', async () => {
  await convert('--size-limit', '0.5kb');
  const shards = join(dir, 'shards', 'part-00000');
  const index = JSON.parse(readFileSync(join(shards, 'index.json'), 'utf8')).shards;
  expect(index.length).toBeGreaterThan(2);
  const [first, second, third] = index.map((each: { raw_data: { basename: string } }) =>
    join(shards, each.raw_data.basename),
  ) as string[];
  const bytes = readFileSync(first!);
  bytes[bytes.length - 1] = 0xff;
  writeFileSync(first!, bytes);
  rmSync(second!);
  writeFileSync(third!, readFileSync(third!).subarray(1));
  const { code, stdout, stderr } = await run(['data', 'inspect', join(dir, 'shards')]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/error\[shard_corrupt\].* in 3 of \d shards/);
  expect(stdout).toMatch(/shard\.00000\.mds has sha256 \w+, but index\.json says/);
  expect(stdout).toMatch(/sample \d+ column "text" is no str/);
  expect(stdout).toContain('shard.00001.mds is missing');
  expect(stdout).toMatch(/shard\.00002\.mds has \d+ bytes, but index\.json says/);
});

it('merges indexes', async () => {
  await convert();
  const { stdout } = await run(['data', 'merge-index', join(dir, 'shards'), '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ num_indexes: 1, num_samples: count });
});

it('refuses options that cannot be', async () => {
  for (const options of [
    ['--columns', 'text'],
    ['--size-limit', '-5'],
    ['--format', 'csv'],
  ]) {
    expect((await convert(...options)).code, options.join(' ')).toBe(2);
  }
  for (const options of [
    ['--hashes', 'crc32'],
    ['--compression', 'lz4'],
    ['--sequence-length', '5'],
    ['--columns', 'text=pkl'],
  ]) {
    const { code, stderr } = await convert(...options);
    expect([code, stderr.includes('error[')], options.join(' ')).toEqual([1, true]);
  }
});
