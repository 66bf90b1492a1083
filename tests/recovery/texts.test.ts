/** A run that reads text files as they are keeps the promise of runs: killed and continued it is the same to the bit, and other text is refused. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, it, vi } from 'vitest';
import { run } from '../../src/cli/run.suite.ts';
import { trainBpe } from '../../src/tokenizer/index.ts';
import { Workplace } from '../e2e/tiny-run.ts';
import { expectSame, lastStep, tracesOf } from './traces.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const places: Workplace[] = [];
afterEach(async () => {
  for (const place of places.splice(0)) await place.close();
});

const lines = (texts: readonly string[]) => texts.map((body) => `${JSON.stringify({ body })}\n`).join('');

/** A folder with a domain of JSON Lines in two files, one of them packed, and one of plain text, their held-out text, and a tokenizer. */
function open(): Workplace {
  const place = new Workplace();
  places.push(place);
  const read = (name: string) => readFileSync(join(place.dir, name), 'utf8');
  const [notes, prose] = [read('notes.txt').split('\n\n'), read('prose.txt')];
  place.write('a-notes.jsonl', lines(notes.slice(0, 200)));
  place.write('b-notes.jsonl.gz', gzipSync(lines(notes.slice(200, 360))));
  place.write('held-notes.jsonl', lines(notes.slice(360)));
  place.write('held-prose.txt', prose.slice(-4000));
  const tokenizer = trainBpe({ texts: [prose, ...notes], vocabSize: 300 });
  // As another program would lay it out: checkpoints have it otherwise, and mean the same.
  place.write('given.json', JSON.stringify(tokenizer, null, 2));
  place.recipe('tiny', {
    data: { domains: undefined, heldOut: undefined, shards },
    tokenizer: { kind: 'file', path: 'given.json', vocabSize: undefined },
    train: { duration: '24step', sampleInterval: '12step' },
  });
  return place;
}

const shards = {
  train: {
    notes: { files: ['?-notes.jsonl*'], textField: 'body' },
    prose: { files: ['prose.txt'] },
  },
  heldout: {
    notes: { files: ['held-notes.jsonl'], textField: 'body' },
    prose: { files: ['held-*.txt'] },
  },
};
const UP = ['up', 'tiny.yaml', '--no-serve', '--threads', '1'];

/** The same command line, without the start of another Node. */
const call = (place: Workplace, ...args: string[]) =>
  run(args, {
    cwd: place.dir,
    runsDir: join(place.dir, 'runs'),
    cacheDir: join(place.dir, 'cache'),
    watchInterrupts: () => undefined,
  });

it('killed and continued, ends as if nothing had happened, and is not continued on other text', async () => {
  const whole = open();
  const prepared = await call(whole, 'prepare', 'tiny.yaml', '--json');
  const { domains } = JSON.parse(prepared.stdout);
  expect([domains.notes.files.length, domains.prose.files.length]).toEqual([2, 1]);
  const first = await call(whole, ...UP);
  expect(first.stderr).not.toMatch(/index/);
  expect(first.code).toBe(0);
  const wanted = tracesOf(whole);
  expect(wanted.metrics.some((each) => each['eval_bits_per_byte.prose'] !== undefined)).toBe(true);

  const place = open();
  const command = place.start(...UP);
  await command.until(() => lastStep(place) >= 12);
  const killed = await command.kill('SIGKILL');
  expect(killed.stderr).toMatch(/^index 100%/m);
  const notes = readFileSync(join(place.dir, 'a-notes.jsonl'), 'utf8');
  place.write('a-notes.jsonl', notes.replace('divide', 'divine'));
  const refused = await call(place, ...UP);
  expect(refused.stderr).toMatch(
    /^error\[text_changed\]: data\.shards\.train\.notes: .*a-notes\.jsonl is not what it was\. Put the old files back/m,
  );
  expect(refused.code).toBe(1);
  // The same text again, in a file of another time.
  place.write('a-notes.jsonl', notes);
  const continued = await call(place, ...UP);
  expect(continued.stderr).toContain('Continuing from step');
  expect(continued.code).toBe(0);
  expectSame(tracesOf(place), wanted);
  const { files } = JSON.parse(readFileSync(place.run('tiny', 'data.json'), 'utf8'));
  expect(files.notes.map(({ path }: { path: string }) => path)).toEqual(
    ['a-notes.jsonl', 'b-notes.jsonl.gz'].map((name) => join(place.dir, name)),
  );
  place.write('held-prose.txt', 'Other text may be held out. '.repeat(40));
  const evaluated = await call(place, 'eval', 'tiny', '--threads', '1', '--json');
  expect(JSON.parse(evaluated.stdout).domains.prose.text_bytes).toBeLessThan(1200);
});
