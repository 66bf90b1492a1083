import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { DabarexError } from '../base/index.ts';
import { type CliContext, createContext, isInterruption } from './context.ts';

const reason = new Error('interrupted by SIGINT');

function interruptedContext(): CliContext {
  return { ...createContext(), interrupted: AbortSignal.abort(reason) };
}

async function errorOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  throw new Error('did not throw');
}

it('takes for an interruption what the interruption threw, also wrapped', async () => {
  const context = interruptedContext();
  const { interrupted: signal } = context;
  const thrown = [
    await errorOf(() => signal.throwIfAborted()),
    await errorOf(() => fetch('http://127.0.0.1:9', { signal })),
    await errorOf(() => sleep(1000, undefined, { signal })),
    new DabarexError('engine_stopped', 'x', {}, { cause: new Error('y', { cause: reason }) }),
  ];
  for (const error of thrown) expect(isInterruption(error, context), String(error)).toBe(true);
  expect(isInterruption(reason, createContext())).toBe(false);
});

it('takes for a failure whatever else goes wrong meanwhile', async () => {
  const context = interruptedContext();
  const thrown = [
    await errorOf(() => readFileSync('/no/such/file')),
    await errorOf(() => JSON.parse('{')),
    new DabarexError('training_diverged', 'x'),
    'text',
    undefined,
  ];
  for (const error of thrown) expect(isInterruption(error, context), String(error)).toBe(false);
});
