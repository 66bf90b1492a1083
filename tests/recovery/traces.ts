/** What two runs are compared by: everything that a finished one leaves and no clock has a say in. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { TIMED, type Workplace } from '../e2e/tiny-run.ts';

/** All that a finished run leaves and no clock has a say in. */
export interface Traces {
  readonly metrics: Record<string, unknown>[];
  readonly weights: Buffer;
  readonly optimizer: Buffer;
  readonly data: unknown;
  readonly evaluation: unknown;
  readonly lastSample: unknown;
}

export function tracesOf(place: Workplace): Traces {
  const checkpoint = place.latest('tiny');
  const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
  const samples = place.lines('tiny', 'events').filter((each) => each.type === 'sample');
  return {
    metrics: place
      .lines('tiny', 'metrics')
      .map((line) => Object.fromEntries(Object.entries(line).filter(([key]) => !TIMED.includes(key)))),
    weights: readFileSync(join(checkpoint, 'model.safetensors')),
    optimizer: readFileSync(join(checkpoint, 'training', 'optimizer.safetensors')),
    data: json(join(checkpoint, 'training', 'state.json')).data,
    evaluation: json(place.run('tiny', 'evaluation.json')),
    lastSample: samples.at(-1)!.text,
  };
}

export function expectSame(found: Traces, wanted: Traces): void {
  const { weights, optimizer, ...rest } = found;
  expect(rest).toEqual({
    metrics: wanted.metrics,
    data: wanted.data,
    evaluation: wanted.evaluation,
    lastSample: wanted.lastSample,
  });
  expect(weights.equals(wanted.weights)).toBe(true);
  expect(optimizer.equals(wanted.optimizer)).toBe(true);
}

export function lastStep(place: Workplace): number {
  return Math.max(0, ...place.lines('tiny', 'metrics').map((each) => each.step as number));
}
