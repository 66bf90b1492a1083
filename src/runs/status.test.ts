import { describe, expect, it } from 'vitest';
import type { RunEvent, RunEventBody } from './events.ts';
import { deriveStatus } from './status.ts';

const events = (...bodies: RunEventBody[]): RunEvent[] =>
  bodies.map((body, i) => ({ time: `2026-01-01T00:00:0${i}.000Z`, ...body }));
const start = (stage: 'prepare' | 'train' | 'evaluate' | 'serve'): RunEventBody => ({
  type: 'stage_started',
  stage,
});
const stateOf = (alive: boolean, ...bodies: RunEventBody[]) =>
  deriveStatus({ events: events(...bodies), alive }).state;

describe('deriveStatus', () => {
  it('follows the stages', () => {
    expect(stateOf(true)).toBe('created');
    expect(stateOf(true, { type: 'run_started' })).toBe('created');
    expect(stateOf(true, start('prepare'))).toBe('preparing');
    expect(stateOf(true, start('prepare'), start('train'))).toBe('training');
    expect(stateOf(true, start('train'), start('evaluate'))).toBe('evaluating');
    expect(stateOf(true, { type: 'run_completed' }, start('serve'))).toBe('serving');
  });

  it('calls a run without a living writer interrupted, unless it had ended', () => {
    expect(stateOf(false, start('train'))).toBe('interrupted');
    expect(stateOf(false, { type: 'run_started' })).toBe('interrupted');
    expect(stateOf(false)).toBe('created');
    expect(stateOf(false, start('train'), { type: 'run_completed' })).toBe('completed');
    expect(stateOf(false, { type: 'run_completed' }, start('serve'))).toBe('completed');
    const failed: RunEventBody = { type: 'run_failed', code: 'x', message: 'm' };
    expect(stateOf(false, start('train'), failed)).toBe('failed');
  });

  it('tells the stages, their times and the failure', () => {
    const status = deriveStatus({
      events: events(
        start('prepare'),
        { type: 'stage_completed', stage: 'prepare', seconds: 3 },
        start('train'),
        { type: 'run_failed', code: 'disk_full', message: 'No space.' },
      ),
      alive: true,
    });
    expect(status.stages).toEqual([
      { stage: 'prepare', state: 'completed', startedAt: '2026-01-01T00:00:00.000Z', seconds: 3 },
      { stage: 'train', state: 'stopped', startedAt: '2026-01-01T00:00:02.000Z', spentSeconds: 1 },
    ]);
    expect(status.stage).toBe('train');
    expect(status.error).toEqual({ code: 'disk_full', message: 'No space.' });
  });

  it('forgets the failure and the old stage when the run is resumed', () => {
    const status = deriveStatus({
      events: events(start('train'), { type: 'run_interrupted' }, { type: 'run_resumed' }, start('train')),
      alive: true,
    });
    expect(status).toMatchObject({ state: 'training', stages: [{ stage: 'train', state: 'running' }] });
    expect(status.error).toBeUndefined();
  });

  it('adds up the time of a stage over the calls that worked on it, also over one that was killed', () => {
    const saved: RunEventBody = { type: 'checkpoint_saved', step: 1, path: 'c' };
    const { stages } = deriveStatus({
      events: events(
        start('prepare'),
        { type: 'stage_completed', stage: 'prepare', seconds: 30 },
        start('train'),
        { type: 'run_interrupted' },
        { type: 'run_resumed' },
        start('train'),
        saved,
        { type: 'run_resumed' },
        start('train'),
        { type: 'stage_completed', stage: 'train', seconds: 5 },
      ),
      alive: false,
    });
    expect(stages.map(({ stage, state, seconds }) => [stage, state, seconds])).toEqual([
      ['prepare', 'completed', 30],
      ['train', 'completed', 7],
    ]);
  });

  it('keeps the time to go when the last line is of an evaluation', () => {
    const sources = { events: events(start('train')), alive: true };
    const evaluated = { time: '2026-01-01T00:00:09.000Z', step: 9, loss_eval_nats: 1 };
    expect(deriveStatus({ ...sources, lastMetrics: evaluated, etaSeconds: 12 }).etaSeconds).toBe(12);
  });
});
