/** `dabarex data convert`: JSONL, Parquet, texts and MDS to MDS. */
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DabarexError } from '../../../base/index.ts';
import { type ConversionReport, convertToMds, type InputFormat } from '../../../prepare/index.ts';
import type { CliContext } from '../../context.ts';
import { examples } from '../../help.ts';
import { formatCount, formatTable } from '../../output.ts';
import { createProgressDisplay } from '../../progress.ts';
import { positive } from '../../sampling.ts';

interface ConvertCommandOptions {
  readonly format?: InputFormat;
  readonly columns?: Record<string, string>;
  readonly tokenizer?: string;
  readonly sequenceLength?: number;
  readonly textColumn: string;
  readonly compression?: string;
  readonly hashes: string[];
  readonly sizeLimit: number;
  readonly workers?: number;
  readonly memory: number;
  readonly json?: boolean;
}

/** @returns the command `convert` */
export function convertCommand(context: CliContext): Command {
  return new Command('convert')
    .description('files to an MDS data set; a conversion that was stopped goes on where it was')
    .argument('<in>', 'a file or folder: .jsonl (.gz, .zst), .parquet, .txt or .md files, or an MDS data set')
    .argument(
      '<out>',
      'the folder to make; of input with splits (train-00000-of-00002.parquet) one for each in it',
    )
    .addOption(
      new Option('--format <format>', 'which files of a folder that holds several').choices([
        'jsonl',
        'parquet',
        'text',
      ]),
    )
    .option('--columns <list>', 'name=encoding,...; default: inferred from the first 1000 rows', columnList)
    .option('--tokenizer <file>', 'a tokenizer.json: texts become the column "tokens"')
    .option('--sequence-length <n>', 'cut tokens into samples of n + 1, neighbours sharing one', positive)
    .option('--text-column <name>', 'the text to tokenise', 'text')
    .option('--compression <name>', 'zstd, gz, bz2, br or snappy, with a level as zstd:7; default none')
    .option('--hashes <list>', 'digests for the index: sha256, xxh64, ...; "none" for none', hashList, [
      'sha256',
    ])
    .option('--size-limit <size>', 'bytes of a shard: 100kb, 64mb', byteSize, 1 << 26)
    .option('--workers <n>', 'threads; default: all the machine offers', positive)
    .option('--memory <size>', 'what each thread may use to read Parquet', byteSize, 512_000_000)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex data convert corpus.jsonl.zst shards', 'a column for every key'],
        [
          'dabarex data convert corpus shards --columns text=str --compression zstd',
          'texts alone, compressed',
        ],
        [
          'dabarex data convert corpus shards --tokenizer tokenizer.json --sequence-length 2048',
          'tokens to train on',
        ],
        ['dabarex data convert old-shards shards --compression zstd:7 --hashes xxh64', 'MDS to MDS'],
      ]),
    )
    .action((input: string, out: string, options: ConvertCommandOptions) =>
      run(input, out, options, context),
    );
}

async function run(
  input: string,
  out: string,
  options: ConvertCommandOptions,
  context: CliContext,
): Promise<void> {
  const progress = createProgressDisplay(context.stderr, context.now);
  const { tokenizer, sequenceLength, textColumn, workers } = options;
  if (sequenceLength !== undefined && tokenizer === undefined) {
    throw new DabarexError(
      'config_invalid',
      'Sequences are cut from tokens: give --tokenizer with --sequence-length.',
    );
  }
  let report: ConversionReport & { reused: boolean };
  try {
    context.watchInterrupts();
    report = await convertToMds(resolve(context.cwd, input), resolve(context.cwd, out), {
      format: options.format,
      columns: options.columns,
      tokenisation:
        tokenizer === undefined
          ? undefined
          : { tokenizer: resolve(context.cwd, tokenizer), textColumn, sequenceLength },
      compression: options.compression,
      hashes: options.hashes,
      sizeLimit: options.sizeLimit,
      memoryBytes: options.memory,
      threads: workers ?? context.threads,
      time: new Date(context.now()).toISOString(),
      onProgress: progress.onProgress,
      signal: context.interrupted,
    });
  } finally {
    progress.stop();
  }
  if (options.json) context.printJson({ path: resolve(context.cwd, out), ...asJson(report) });
  else context.print(render(report, resolve(context.cwd, out)));
}

/** Names of columns are the user's, and keep their letters. */
function asJson({ columns, ...report }: ConversionReport & { reused: boolean }) {
  return { ...report, columns: Object.entries(columns).map(([name, encoding]) => ({ name, encoding })) };
}

function render({ splits, columns, reused }: ConversionReport & { reused: boolean }, out: string): string {
  const rows = splits.map((each) => [
    each.name || '(all)',
    formatCount(each.numFiles),
    formatCount(each.numShards),
    formatCount(each.numSamples),
  ]);
  const list = Object.entries(columns).map((each) => each.join('='));
  return [
    formatTable(['split', 'files', 'shards', 'samples'], rows),
    `columns: ${list.join(', ')}`,
    `${reused ? 'Already converted' : 'Converted'}: ${out}`,
  ].join('\n\n');
}

function columnList(text: string): Record<string, string> {
  // Encodings may hold commas of their own: ndarray:int32:2,3.
  const pairs = text.split(/,(?=[^=,]+=)/).map((each) => each.split('='));
  if (pairs.some(([name, encoding, ...rest]) => !name || !encoding || rest.length > 0)) {
    throw new InvalidArgumentError('Give name=encoding,name=encoding.');
  }
  return Object.fromEntries(pairs);
}

function hashList(text: string): string[] {
  return text === 'none' ? [] : text.split(',').map((each) => each.trim());
}

/** As MosaicML's: units of 1024. */
function byteSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i.exec(text) ?? [];
  const power = ['b', 'kb', 'mb', 'gb'].indexOf((unit ?? 'b').toLowerCase());
  const size = Math.floor(Number(digits) * 1024 ** power);
  if (!(size > 0)) throw new InvalidArgumentError('Give a size such as 100kb, 64mb or 1gb.');
  return size;
}
