/** The promise of a run: the same recipe gives the same bits, however many threads it had and however often it died. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Rng } from '../../src/base/index.ts';
import { type RecipeChange, type RunningCommand, Workplace } from '../e2e/tiny-run.ts';
import { expectSame, lastStep, type Traces, tracesOf } from './traces.ts';

const STEPS = 40;

// Several whole runs a test, beside whatever else the machine does.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const places: Workplace[] = [];
const open = () => {
  const place = new Workplace();
  places.push(place);
  return place;
};
let expected: Traces;

beforeAll(async () => {
  const place = new Workplace();
  expected = await uninterrupted(place, '1');
  await place.close();
});

afterEach(async () => {
  for (const place of places.splice(0)) await place.close();
});

describe('a run', () => {
  it('logs every second step once and learns', () => {
    const steps = expected.metrics.filter((each) => each.loss_train_nats !== undefined);
    expect(steps.map((each) => each.step)).toEqual(Array.from({ length: STEPS / 2 }, (_, i) => 2 * i + 2));
    expect(steps.at(-1)!.loss_train_nats).toBeLessThan((steps[0]!.loss_train_nats as number) - 1);
  });

  it('on two threads is the run on one, to the bit', async () => {
    expectSame(await uninterrupted(open(), '2'), expected);
  });

  it('in f32 with Muon on two threads is the run on one, to the bit', async () => {
    const change = { train: { duration: '12step', precision: 'f32', optimizer: { kind: 'muon' } } };
    const [one, two] = [await uninterrupted(open(), '1', change), await uninterrupted(open(), '2', change)];
    expectSame(two, one);
    expect(one.metrics[3]!.loss_train_nats).not.toBe(expected.metrics[3]!.loss_train_nats);
  });
});

describe('a run killed by SIGKILL', () => {
  it('at random moments, also before training, ends as if nothing had happened', async () => {
    const place = open();
    const recipe = place.recipe('tiny');
    const rng = new Rng(2024);
    const start = () => place.start('up', recipe, '--no-serve', '--threads', '2');
    const inPreparation = start();
    await inPreparation.until(() => existsSync(place.dataDir));
    await inPreparation.kill('SIGKILL');
    for (const share of [0.1, 0.4, 0.7]) {
      const step = Math.round(STEPS * (share + 0.2 * rng.uniform()));
      const command = start();
      await command.until(() => lastStep(place) >= step);
      expect((await command.kill('SIGKILL')).signal).toBe('SIGKILL');
      expectNoStepTwice(place);
    }
    expect(await start().ended).toMatchObject({ code: 0 });
    expectSame(tracesOf(place), expected);
  });

  it('while it writes checkpoints, continues from a whole one', async () => {
    const place = open();
    const recipe = place.recipe('tiny');
    const start = () => place.start('up', recipe, '--no-serve', '--threads', '1');
    const halfWritten = () => temporaries(place).length > 0;
    let landed = 0; // a signal may also arrive just after the last rename
    for (let kills = 0; kills < 6 && landed < 2; kills++) {
      const command = start();
      const before = newestStep(place);
      // They stand for some milliseconds.
      await command.until(() => temporaries(place).some((name) => stepOf(name) > before), 1);
      await command.kill('SIGKILL');
      if (halfWritten()) landed++;
    }
    expect(landed).toBeGreaterThan(0);
    expect(await start().ended).toMatchObject({ code: 0 });
    expect(halfWritten()).toBe(false);
    expectSame(tracesOf(place), expected);
  });
});

describe('a run interrupted by SIGINT', () => {
  it('saves, says so with code 130, continues, and is reused when it is finished', async () => {
    const place = open();
    const recipe = place.recipe('tiny');
    const args = ['up', recipe, '--no-serve', '--threads', '1'];
    const interrupted = await interruptAt(place, place.start(...args), 12);
    expect(interrupted).toMatchObject({ code: 130, signal: null, stdout: '' });
    expect(interrupted.stderr).toContain('The same command continues');
    expect(newestStep(place)).toBeGreaterThanOrEqual(lastStep(place));
    expect(existsSync(place.run('tiny', 'lock'))).toBe(false);
    expect(place.lines('tiny', 'events').at(-1)).toMatchObject({ type: 'run_interrupted' });

    const continued = await place.call(...args);
    expect(continued.code).toBe(0);
    expect(continued.stderr).toContain('Continuing from step');
    expectSame(tracesOf(place), expected);

    const weights = join(place.latest('tiny'), 'model.safetensors');
    const saved = statSync(weights).mtimeMs;
    const numEvents = place.lines('tiny', 'events').length;
    const reused = await place.call(...args);
    expect(reused).toMatchObject({ code: 0, stdout: continued.stdout });
    expect(statSync(weights).mtimeMs).toBe(saved);
    const added = place.lines('tiny', 'events').slice(numEvents);
    expect(added.filter((each) => each.stage === 'train' || each.stage === 'evaluate')).toEqual([]);
    expectSame(tracesOf(place), expected);
  });

  it('does not continue from weights or moments in which a bit has changed, and says from where it can', async () => {
    const place = open();
    const args = [
      'up',
      place.recipe('tiny', { train: { duration: '16step' } }),
      '--no-serve',
      '--threads',
      '1',
    ];
    expect(await interruptAt(place, place.start(...args), 7)).toMatchObject({ code: 130 });
    const path = join(place.latest('tiny'), 'training', 'optimizer.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 9]! ^= 16;
    writeFileSync(path, bytes);
    const refused = await place.call(...args);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('error[checkpoint_corrupt]');
    expect(refused.stderr).toContain(path);
    rmSync(place.latest('tiny'), { recursive: true });
    expect(await place.call(...args)).toMatchObject({ code: 0 });
  });

  it('with tied embeddings continues as if nothing had happened', async () => {
    const change = { train: { duration: '16step' }, model: { tieEmbeddings: true } };
    const whole = await uninterrupted(open(), '2', change);
    const place = open();
    const args = ['up', place.recipe('tiny', change), '--no-serve', '--threads', '2'];
    expect(await interruptAt(place, place.start(...args), 7)).toMatchObject({ code: 130 });
    expect((await place.call(...args)).code).toBe(0);
    expectSame(tracesOf(place), whole);
    expect(whole.weights.includes('lm_head.weight')).toBe(false);
  });

  it('in an order of MosaicML continues as if nothing had happened, also in a later epoch', async () => {
    const train = { duration: '16step', checkpointInterval: '3step' };
    const change = { train, data: { stream: { shuffle: 'py1e', blockSize: 16, epochSize: 20 } } };
    const whole = await uninterrupted(open(), '2', change);
    const place = open();
    const args = ['up', place.recipe('tiny', change), '--no-serve', '--threads', '2'];
    const command = place.start(...args);
    await command.until(() => lastStep(place) >= 9);
    await command.kill('SIGKILL');
    const { data } = JSON.parse(readFileSync(join(place.latest('tiny'), 'training', 'state.json'), 'utf8'));
    expect(data).toMatchObject({ shuffle_seed: 9176, num_canonical_nodes: 1 });
    expect(data.epoch).toBeGreaterThan(0);
    expect((await place.call(...args)).code).toBe(0);
    expectSame(tracesOf(place), whole);
  });

  it('before training starts leaves a run that starts over', async () => {
    const place = open();
    const recipe = place.recipe('tiny');
    const args = ['up', recipe, '--no-serve', '--threads', '1'];
    const command = place.start(...args);
    await command.until(() => place.lines('tiny', 'events').length > 0);
    const interrupted = await command.kill('SIGINT');
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toContain('Interrupted.');
    expect(place.lines('tiny', 'events').at(-1)).toMatchObject({ type: 'run_interrupted' });
    expect((await place.call(...args)).code).toBe(0);
    expectSame(tracesOf(place), expected);
  });
});

async function uninterrupted(place: Workplace, threads: string, change: RecipeChange = {}): Promise<Traces> {
  const outcome = await place.call('up', place.recipe('tiny', change), '--no-serve', '--threads', threads);
  expect(outcome).toMatchObject({ code: 0 });
  return tracesOf(place);
}

async function interruptAt(place: Workplace, command: RunningCommand, step: number) {
  await command.until(() => lastStep(place) >= step);
  return command.kill('SIGINT');
}

function expectNoStepTwice(place: Workplace): void {
  const steps = place.lines('tiny', 'metrics').filter((each) => each.loss_train_nats !== undefined);
  expect(steps.map((each) => each.step)).toEqual(steps.map((_, i) => 2 * i + 2));
}

function newestStep(place: Workplace): number {
  return existsSync(place.run('tiny', 'checkpoints', 'latest')) ? stepOf(place.latest('tiny')) : 0;
}

function stepOf(name: string): number {
  return Number(/step-(\d+)/.exec(name)![1]);
}

/** Checkpoints being written, or left so. */
function temporaries(place: Workplace): string[] {
  const dir = place.run('tiny', 'checkpoints');
  return existsSync(dir) ? readdirSync(dir).filter((name) => /^step-.*\.tmp-\d+$/.test(name)) : [];
}
