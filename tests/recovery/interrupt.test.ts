/** What a run does when its end in order goes wrong, when the end falls into an evaluation, and when another makes its data. */
import { existsSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type RecipeChange, TIMED, Workplace } from '../e2e/tiny-run.ts';

const MINUTES = 60_000;

const places: Workplace[] = [];
const open = () => {
  const place = new Workplace();
  places.push(place);
  return place;
};
afterEach(async () => {
  for (const place of places.splice(0)) await place.close();
});

const start = (place: Workplace, change: RecipeChange = {}, name = 'tiny') =>
  place.start('up', place.recipe(name, change), '--no-serve', '--threads', '1');
const lastStep = (place: Workplace) =>
  Math.max(0, ...place.lines('tiny', 'metrics').map((each) => each.step as number));
const long = {
  train: { duration: '100000step', checkpointInterval: '100000step', evalInterval: '100000step' },
};

describe('a run interrupted within a step of seconds', () => {
  // Some 230 GFLOP in a single microbatch: no processor has done them by the time the second signal counts.
  const change = {
    model: { dModel: 512, numLayers: 4, ffn: { hidden: 1024, numExperts: 1, topK: 1 } },
    train: {
      ...long.train,
      batchSequences: 64,
      sequenceLength: 64,
      microbatchSequences: undefined,
      precision: 'f32',
      logInterval: '1step',
    },
  };

  it(
    'says at once that it will stop after the step, and a second signal ends it there and then',
    async () => {
      const place = open();
      const command = start(place, change);
      await command.until(() => lastStep(place) === 1);
      command.child.kill('SIGINT');
      await command.until(() => command.stderr.includes('Stopping after this step'));
      expect(lastStep(place)).toBe(1);
      // Sooner it would count as an echo of the first.
      await sleep(1050);
      const { code, stderr } = await command.kill('SIGINT');
      expect(code).toBe(130);
      expect(stderr).not.toContain('Interrupted.');
      expect(lastStep(place)).toBe(1);
      expect(existsSync(place.run('tiny', 'checkpoints'))).toBe(false);
    },
    4 * MINUTES,
  );
});

describe('a run that cannot write', () => {
  it(
    'its last checkpoint after Ctrl-C says so and fails, rather than telling of an end in order',
    async () => {
      const place = open();
      const command = start(place, long);
      await command.until(() => lastStep(place) >= 4);
      // Something that is no folder stands where the checkpoints go.
      writeFileSync(place.run('tiny', 'checkpoints'), '');
      const { code, stderr } = await command.kill('SIGINT');
      expect(stderr).toMatch(/^error\[path_unusable\]: .*checkpoints.*(EEXIST|ENOTDIR)/m);
      expect(stderr).not.toContain('Interrupted.');
      expect(code).toBe(1);
      expect(place.lines('tiny', 'events').at(-1)).toMatchObject({
        type: 'run_failed',
        code: 'path_unusable',
      });
      expect(existsSync(place.run('tiny', 'lock'))).toBe(false);
    },
    4 * MINUTES,
  );

  it.skipIf(!existsSync('/dev/full'))(
    'for want of space ends with disk_full and the file',
    async () => {
      const place = open();
      const command = start(place, long);
      await command.until(() => lastStep(place) >= 4);
      const metrics = place.run('tiny', 'metrics.jsonl');
      symlinkSync('/dev/full', `${metrics}.full`);
      renameSync(`${metrics}.full`, metrics);
      const { code, stderr } = await command.ended;
      expect(stderr).toMatch(/^error\[disk_full\]: .*metrics\.jsonl .*ENOSPC.*run again/m);
      expect(stderr).not.toContain('fault of dabarex');
      expect(code).toBe(1);
      expect(place.lines('tiny', 'events').at(-1)).toMatchObject({ type: 'run_failed', code: 'disk_full' });
    },
    4 * MINUTES,
  );
});

describe('a run interrupted during an evaluation', () => {
  const change = {
    data: { heldOut: { fraction: 0.45 } },
    train: { duration: '8step', evalInterval: '1step', evalTokens: 1_000_000, checkpointInterval: '4step' },
  };

  it(
    'ends at once, and the next call makes the evaluation, as if nothing had happened',
    async () => {
      const whole = open();
      expect((await start(whole, change).ended).code).toBe(0);
      const place = open();
      let landed = 0;
      for (let calls = 0; calls < 3 && landed === 0; calls++) {
        const before = lastStep(place);
        const command = start(place, change);
        await command.until(() => lastStep(place) > before);
        expect((await command.kill('SIGINT')).code).toBe(130);
        if (isDue(place)) {
          landed++;
          const evaluated = place
            .lines('tiny', 'metrics')
            .filter((each) => each.loss_eval_nats !== undefined);
          expect(evaluated.map((each) => each.step)).not.toContain(stepOf(place));
        }
      }
      expect(landed).toBeGreaterThan(0);
      expect((await start(place, change).ended).code).toBe(0);
      expect(untimed(place)).toEqual(untimed(whole));
    },
    6 * MINUTES,
  );
});

describe('two runs that start at once on the same text', () => {
  it(
    'prepare it once, and both train',
    async () => {
      const place = open();
      const change = { train: { duration: '4step', prompts: [] } };
      const both = [start(place, change, 'one'), start(place, change, 'two')];
      const outcomes = await Promise.all(both.map((each) => each.ended));
      for (const { code, stderr } of outcomes) expect(code, stderr).toBe(0);
      const stagesOf = (name: string) =>
        place
          .lines(name, 'events')
          .filter((each) => each.type === 'stage_completed')
          .map((each) => each.stage);
      const made = [...stagesOf('one'), ...stagesOf('two')].filter(
        (each) => each !== 'train' && each !== 'evaluate',
      );
      expect(made.sort()).toEqual(['prepare', 'shards', 'tokenizer']);
      const weights = (name: string) => readFileSync(join(place.latest(name), 'model.safetensors'));
      expect(weights('two').equals(weights('one'))).toBe(true);
    },
    4 * MINUTES,
  );
});

const stateOf = (place: Workplace) =>
  JSON.parse(readFileSync(join(place.latest('tiny'), 'training', 'state.json'), 'utf8'));
const isDue = (place: Workplace) => stateOf(place).evaluationDue === true;
const stepOf = (place: Workplace) => stateOf(place).step as number;

function untimed(place: Workplace): Record<string, unknown>[] {
  return place
    .lines('tiny', 'metrics')
    .map((line) => Object.fromEntries(Object.entries(line).filter(([key]) => !TIMED.includes(key))));
}
