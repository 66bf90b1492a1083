/** Options of commands that generate text. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { GenerateRequest } from '../infer/index.ts';
import { WEIGHT_KINDS, type WeightKind } from '../tensor/index.ts';

export interface SamplingOptions {
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly stop?: string[];
  readonly threads?: number;
  readonly weights?: WeightKind;
}

/** Adds `--max-tokens`, `--temperature`, `--top-p`, `--seed`, `--stop`, `--weights` and `--threads`. */
export function addSamplingOptions(command: Command): Command {
  return command
    .option('--max-tokens <n>', 'tokens to generate at most', wholeNumber, 128)
    .option('--temperature <t>', '0 to 2; 0 takes the most likely token', numberIn(0, 2), 0.8)
    .option(
      '--top-p <p>',
      'more than 0, up to 1: the smallest set of tokens with this much probability',
      numberIn(0, 1, 'low end out'),
      1,
    )
    .option('--seed <n>', 'the same seed gives the same text', wholeNumber, 0)
    .option('--stop <text>', 'ends the answer; repeatable', (text: string, all?: string[]) => [
      ...(all ?? []),
      text,
    ])
    .addOption(weightsOption())
    .option('--threads <n>', 'default: all the machine offers', positive);
}

/** `--weights`, as every command has it that runs a model. */
export function weightsOption(): Option {
  return new Option(
    '--weights <kind>',
    'how weights are kept: fewer bits are read faster, and cost some accuracy; default: as in training',
  ).choices(WEIGHT_KINDS);
}

/** The engine's names of the options; without a prompt. */
export function samplingOf(options: SamplingOptions): Omit<GenerateRequest, 'prompt'> {
  const { maxTokens, temperature, topP, seed, stop } = options;
  return { maxTokens, temperature, topP, seed, stop };
}

/** An option that is a whole number from 1. */
export function positive(text: string): number {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('It must be at least 1.');
  return value;
}

/** An option that is a whole number from 0. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** An option that is a TCP port; 0 asks for any. */
export function portNumber(text: string): number {
  const value = wholeNumber(text);
  if (value > 65_535) throw new InvalidArgumentError('It must be 0 to 65535.');
  return value;
}

/** An option that is a number from `low` to `high`. */
function numberIn(low: number, high: number, ends?: 'low end out'): (text: string) => number {
  return (text) => {
    const value = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text.trim()) ? Number(text) : NaN;
    if (value <= high && (ends ? value > low : value >= low)) return value;
    throw new InvalidArgumentError(
      ends
        ? `It must be more than ${low} and at most ${high}.`
        : `It must be a number from ${low} to ${high}.`,
    );
  };
}

/** A size as an option has it: `500MB`, `2GiB`, bytes. */
export function byteCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kMGT])(i?)B?|B)?$/i.exec(text);
  const powers = ['k', 'm', 'g', 't'];
  if (!match) throw new InvalidArgumentError('It must be a size, as 500MB, 2GiB or 1000000.');
  const power = match[2] ? powers.indexOf(match[2].toLowerCase()) + 1 : 0;
  const value = Number(match[1]) * (match[3] ? 1024 : 1000) ** power;
  if (!(value >= 1 && value <= 1e18)) throw new InvalidArgumentError('It must be from 1 byte to 10^18.');
  return value;
}
