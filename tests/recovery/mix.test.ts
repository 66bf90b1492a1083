/** Whatever mixes a run drew from, on a ramp or by request, a resumed run draws from the same at the same steps. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { mixRequestPath, type RequestedWeights, writeMixRequest } from '../../src/runs/index.ts';
import { Workplace } from '../e2e/tiny-run.ts';
import { expectSame, lastStep, type Traces, tracesOf } from './traces.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const ramped = {
  data: {
    curriculum: [
      { duration: '10step', weights: { prose: 1 } },
      { duration: 'rest', ramp: 'linear', weights: { notes: 1 } },
    ],
  },
  train: { keepCheckpoints: 100, sampleInterval: '1dur', evalInterval: '1dur' },
};
let place: Workplace;
beforeAll(() => {
  place = new Workplace();
});
afterAll(() => place.close());

const args = (change: object = {}) => [
  'up',
  place.recipe('tiny', { ...ramped, ...change }),
  '--no-serve',
  '--threads',
  '1',
];
const eventsOf = (type: string) => place.lines('tiny', 'events').filter((each) => each.type === type);

/** Takes the run back to a checkpoint as if it had been killed before the next. */
function rewindTo(step: number): void {
  const checkpoints = place.run('tiny', 'checkpoints');
  const names = readdirSync(checkpoints).filter((name) => name.startsWith('step-'));
  const kept = names.filter((name) => Number(name.slice(5)) <= step).sort();
  for (const name of names) if (!kept.includes(name)) rmSync(join(checkpoints, name), { recursive: true });
  writeFileSync(join(checkpoints, 'latest'), `${kept.at(-1)!}\n`);
  rmSync(place.run('tiny', 'evaluation.json'), { force: true });
}

describe('a run on a ramp', () => {
  let whole: Traces;
  beforeAll(async () => {
    expect((await place.call(...args())).code).toBe(0);
    whole = tracesOf(place);
  });

  it('draws less and less of what it comes from', () => {
    const state = whole.data as { streams: Record<string, { drawn: number }> };
    const { prose, notes } = state.streams;
    // 40 sequences before the ramp; of the 120 on it about half.
    expect(prose!.drawn + notes!.drawn).toBe(160);
    expect(Math.abs(prose!.drawn - 102)).toBeLessThanOrEqual(2);
  });

  it('killed in the middle of it ends as if nothing had happened', async () => {
    rmSync(place.run('tiny'), { recursive: true });
    const command = place.start(...args());
    await command.until(() => lastStep(place) >= 22);
    await command.kill('SIGKILL');
    expect((await place.call(...args())).code).toBe(0);
    expectSame(tracesOf(place), whole);
  });

  it('may be continued with another future, not with another past', async () => {
    rewindTo(20);
    const [first, second] = ramped.data.curriculum;
    const past = { ...ramped.data, curriculum: [{ ...first, weights: { notes: 1 } }, second] };
    const refused = await place.call(...args({ data: past }));
    expect(refused.stderr).toMatch(
      /error\[curriculum_past_changed\]: .*step 20, and phase 0.*"prose", which is 0 now/,
    );
    const ended = { duration: '15step', ramp: 'linear', rampFraction: 1, weights: { notes: 1 } };
    const ramp = {
      ...ramped.data,
      curriculum: [first, ended, { duration: '15step', weights: { prose: 1 } }],
    };
    expect((await place.call(...args({ data: ramp }))).stderr).toMatch(
      /curriculum_past_changed.*phase 1.*another ramp/,
    );
    const shorter = { ...ramped.data, curriculum: [first, { ...second, duration: '30step' }] };
    expect((await place.call(...args({ data: shorter }))).code).toBe(0);
    expectSame(tracesOf(place), whole);
  });
});

describe('a run whose mix is changed while it is at work', () => {
  const long = { train: { ...ramped.train, duration: '100step' } };
  const request = (weights: RequestedWeights) =>
    writeMixRequest(place.run('tiny'), weights, ['prose', 'notes']);

  it('takes it from the next step on, and again after it was resumed from before', async () => {
    rmSync(place.run('tiny'), { recursive: true });
    const command = place.start(...args(long));
    await command.until(() => lastStep(place) >= 8);
    request({ notes: 3, prose: 1 });
    await command.until(() => eventsOf('mix_changed').length === 1);
    writeFileSync(mixRequestPath(place.run('tiny')), 'weights: { verse: 1 }');
    await command.until(() => eventsOf('mix_rejected').length === 1);
    request('curriculum');
    await command.until(() => eventsOf('mix_changed').length === 2);
    expect(await command.ended).toMatchObject({ code: 0 });
    const whole = tracesOf(place);
    const [first, second] = eventsOf('mix_changed') as { step: number; tokens: number }[];
    expect(first).toMatchObject({ weights: { notes: 0.75, prose: 0.25 }, tokens: 128 * first!.step });
    expect(second).toMatchObject({ weights: null });
    expect(second!.step).toBeGreaterThan(first!.step);
    expect(eventsOf('mix_rejected')).toEqual([
      expect.objectContaining({
        code: 'config_invalid',
        message: expect.stringMatching(/"verse".*prose, notes/),
      }),
    ]);
    for (const step of [5 * Math.ceil((first!.step + 1) / 5), 5]) {
      rewindTo(step);
      expect((await place.call(...args(long))).code).toBe(0);
      expectSame(tracesOf(place), whole);
    }
    expect(eventsOf('mix_changed')).toEqual([first, second]);
    expect(eventsOf('mix_rejected')).toHaveLength(1);
  });

  it('is asked by a command, which refuses what the run could not take', async () => {
    const set = (weights: string) => place.call('runs', 'mix', 'tiny', '--set', weights, '--json');
    const asked = await set('notes=3,prose=1');
    expect(JSON.parse(asked.stdout)).toMatchObject({ weights: { notes: 3, prose: 1 } });
    expect(readFileSync(mixRequestPath(place.run('tiny')), 'utf8')).toContain('notes: 3');
    expect((await set('verse=1')).stderr).toContain('config_invalid');
    expect((await set('notes')).stderr).toContain('usage_invalid');
    const shown = await place.call('runs', 'mix', 'tiny', '--json');
    expect(JSON.parse(shown.stdout)).toMatchObject({ mix: 'curriculum', since: 10, weights: { notes: 1 } });
  });
});
