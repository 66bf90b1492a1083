/** The error of a value that its column cannot hold. */
import { inspect } from 'node:util';
import { DabarexError } from '../base/index.ts';

const SHOWN_CHARACTERS = 60;

/** @param where sample and column @param wanted `a string` @throws sample_invalid */
export function failValue(where: string, value: unknown, wanted: string): never {
  throw new DabarexError('sample_invalid', `${where} is ${describe(value)}, not ${wanted}. Give it one.`, {
    where,
  });
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name} of ${value.byteLength} bytes`;
  const text = typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 1 });
  const shown = text.replaceAll(/\s+/g, ' ');
  const cut = shown.length > SHOWN_CHARACTERS ? `${shown.slice(0, SHOWN_CHARACTERS)}…` : shown;
  return `${typeof value} ${cut}`;
}
