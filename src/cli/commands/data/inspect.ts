/** `dabarex data inspect`: what an MDS data set holds, and whether its files are whole. */
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { Command } from 'commander';
import { DabarexError } from '../../../base/index.ts';
import { type ColumnReport, type Inspection, inspectMds } from '../../../stream/index.ts';
import { loadTokenizer, type Tokenizer } from '../../../tokenizer/index.ts';
import type { CliContext } from '../../context.ts';
import { examples } from '../../help.ts';
import { formatBytes, formatCount, formatTable } from '../../output.ts';
import { createProgressDisplay } from '../../progress.ts';
import { wholeNumber } from '../../sampling.ts';

interface InspectCommandOptions {
  readonly sample: number;
  readonly top: number;
  readonly tokenizer?: string;
  readonly json?: boolean;
}

const SHOWN_CHARACTERS = 300;
const SHOWN_TOKENS = 60;

/** @returns the command `inspect` */
export function inspectCommand(context: CliContext): Command {
  return new Command('inspect')
    .description('schema, samples, token histogram, exact duplicates and the health of every shard')
    .argument('<folder>', 'an MDS data set: the folder of its index.json')
    .option('--sample <n>', 'how many samples to show, spread over the data set', wholeNumber, 3)
    .option('--top <n>', 'how many of the most frequent tokens to list', wholeNumber, 20)
    .option('--tokenizer <file>', 'a tokenizer.json, to show tokens as text')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      `${examples([
        ['dabarex data inspect shards/train/web', 'figures, and damage if there is any'],
        ['dabarex data inspect shards --sample 10 --tokenizer tokenizer.json', 'more samples, as text'],
      ])}\nEvery file is read. The exit code is 1 where something is damaged; all damage is listed.`,
    )
    .action((folder: string, options: InspectCommandOptions) => run(folder, options, context));
}

async function run(folder: string, options: InspectCommandOptions, context: CliContext): Promise<void> {
  const tokenizer =
    options.tokenizer === undefined ? undefined : loadTokenizer(resolve(context.cwd, options.tokenizer));
  const progress = createProgressDisplay(context.stderr, context.now);
  let found: Inspection;
  try {
    context.watchInterrupts();
    found = await inspectMds(resolve(context.cwd, folder), {
      samples: options.sample,
      topTokens: options.top,
      onProgress: progress.onProgress,
      signal: context.interrupted,
    });
  } finally {
    progress.stop();
  }
  if (options.json) context.printJson(asJson(found, tokenizer));
  else context.print(render(found, tokenizer));
  if (found.numProblems > 0) throw damaged(found);
}

function damaged({ dir, numProblems, shards }: Inspection): DabarexError {
  const numShards = shards.filter((each) => each.problems.length > 0).length;
  return new DabarexError(
    'shard_corrupt',
    `${dir}: ${numProblems} problems in ${numShards} of ${shards.length} shards, listed above. Copy these shards again or write the data set again.`,
    { dir, numProblems, numShards },
  );
}

function asJson(found: Inspection, tokenizer: Tokenizer | undefined) {
  const columns = found.columns.map(({ tokens, ...column }) => ({
    ...column,
    ...(tokens && {
      tokens: { ...tokens, top: tokens.top.map((each) => ({ ...each, ...textOf(each.id, tokenizer) })) },
    }),
  }));
  const samples = found.samples.map(({ index, values }) => ({
    index,
    values: Object.entries(values).map(([name, value]) => ({ name, value: shown(value, tokenizer) })),
  }));
  return { ...found, columns, samples };
}

function textOf(id: number, tokenizer: Tokenizer | undefined): { text?: string } {
  return tokenizer && id < tokenizer.vocabSize ? { text: tokenizer.decode([id]) } : {};
}

function render(found: Inspection, tokenizer: Tokenizer | undefined): string {
  const { dir, numSamples, shards, rawBytes, fileBytes, compression } = found;
  const size = compression
    ? `${formatBytes(fileBytes)} (${compression}), unpacked ${formatBytes(rawBytes)}`
    : formatBytes(fileBytes);
  const parts = [
    `${dir}: ${formatCount(numSamples)} samples in ${formatCount(shards.length)} shards, ${size}`,
    renderColumns(found.columns),
    ...found.columns.filter((each) => each.tokens).map((each) => renderTokens(each, tokenizer)),
    ...found.samples.map(({ index, values }) => renderSample(index, values, tokenizer)),
    renderDuplicates(found.duplicates),
    renderHealth(found),
  ];
  return printable(parts.join('\n\n'));
}

/** Data may hold what a terminal would obey. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function renderColumns(columns: readonly ColumnReport[]): string {
  const rows = columns.map(({ name, encoding, bytes }) => [
    name,
    encoding,
    formatCount(bytes.min),
    formatCount(bytes.mean),
    formatCount(bytes.max),
    formatBytes(bytes.total),
  ]);
  return formatTable(['column', 'encoding', 'min bytes', 'mean bytes', 'max bytes', 'total'], rows);
}

function renderTokens({ name, tokens }: ColumnReport, tokenizer: Tokenizer | undefined): string {
  const { lengths, distinct, minId, maxId, top, idsByFrequency } = tokens!;
  const head =
    `${name}: ${formatCount(lengths.total)} tokens, ${formatCount(distinct)} different ids from ${minId} to ${formatCount(maxId)}; ` +
    `a sample has ${formatCount(lengths.min)} to ${formatCount(lengths.max)}, ${formatCount(lengths.mean)} on average`;
  const total = Math.max(1, lengths.total);
  const rows = top.map(({ id, count: occurrences }) => [
    String(id),
    formatCount(occurrences),
    `${((100 * occurrences) / total).toFixed(2)} %`,
    bar(occurrences / (top[0]?.count ?? 1)),
    JSON.stringify(textOf(id, tokenizer).text ?? '').replace(/^""$/, ''),
  ]);
  const buckets = idsByFrequency.map((ids, k) => [
    k === 0 ? 'once' : k === 1 ? '2 to 9' : `${formatCount(10 ** (k - 1))} to ${formatCount(10 ** k - 1)}`,
    formatCount(ids),
  ]);
  return [
    head,
    formatTable(['token', 'count', 'share', '', 'text'], rows),
    formatTable(['occurs', 'ids'], buckets),
  ].join('\n\n');
}

function bar(fraction: number): string {
  return '█'.repeat(Math.round(20 * fraction)) || '▏';
}

function renderSample(
  index: number,
  values: Readonly<Record<string, unknown>>,
  tokenizer: Tokenizer | undefined,
): string {
  const lines = Object.entries(values).map(([name, value]) => {
    const text = shown(value, tokenizer);
    const isText = typeof value === 'string' || (value instanceof Int32Array && tokenizer);
    return `  ${name}: ${isText ? JSON.stringify(text) : text}`;
  });
  return [`sample ${formatCount(index)}`, ...lines].join('\n');
}

/** A value as text, cut: tokens decoded where there is a tokenizer, bytes and arrays by their beginning. */
function shown(value: unknown, tokenizer: Tokenizer | undefined): string {
  if (value instanceof Int32Array && tokenizer) {
    const ids = value.subarray(0, SHOWN_TOKENS).filter((id) => id >= 0 && id < tokenizer.vocabSize);
    return `${tokenizer.decode(ids)}${value.length > SHOWN_TOKENS ? '…' : ''}`;
  }
  const options = {
    breakLength: Number.POSITIVE_INFINITY,
    depth: 4,
    maxArrayLength: 20,
    compact: true,
  } as const;
  const whole = typeof value === 'string' ? value : inspect(value, options);
  return whole.length > SHOWN_CHARACTERS ? `${whole.slice(0, SHOWN_CHARACTERS)}…` : whole;
}

function renderDuplicates({ column, compared, duplicates, groups }: Inspection['duplicates']): string {
  const what = column === null ? 'samples' : `values of "${column}"`;
  const head = `exact duplicates: ${formatCount(duplicates)} of ${formatCount(compared)} ${what}`;
  const lines = groups.map((each) => `  samples ${each.map(formatCount).join(' = ')}`);
  return [head, ...lines].join('\n');
}

function renderHealth({ shards, numProblems }: Inspection): string {
  if (numProblems === 0) {
    const hashes = [...new Set(shards.flatMap((each) => each.hashes))];
    const checked =
      hashes.length > 0 ? `sizes, ${hashes.join(', ')}, offsets` : 'sizes and offsets (there are no digests)';
    return `all ${formatCount(shards.length)} shards are whole: ${checked} and every sample were checked`;
  }
  const lines = shards.flatMap(({ basename, problems }) => problems.map((each) => `  ${basename}: ${each}`));
  return [`damage: ${formatCount(numProblems)} problems`, ...lines].join('\n');
}
