/** `dabarex data simulate`: what a run would download, cache and wait for on any number of nodes, without running it. */
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DabarexError, writeFileAtomic } from '../../../base/index.ts';
import {
  DEFAULT_BLOCK_SIZE,
  indexedShards,
  SIMULATED_SHUFFLES,
  type SimulatedShard,
  type SimulateOptions,
  type Simulation,
  simulate,
} from '../../../stream/index.ts';
import type { CliContext } from '../../context.ts';
import { examples } from '../../help.ts';
import { formatBytes, formatCount, formatSeconds, formatTable } from '../../output.ts';
import { loadRecipe, type Recipe, requirePart } from '../../recipe.ts';
import { byteCount, positive, wholeNumber } from '../../sampling.ts';
import { simulationFigure } from './simulation-figure.ts';

interface Options {
  readonly index?: string;
  readonly samples?: number;
  readonly shardSamples?: number;
  readonly shardSize: number;
  readonly compressionRatio: number;
  readonly nodes: number;
  readonly devices: number;
  readonly batch?: number;
  readonly steps?: number;
  readonly stepTime: number;
  readonly bandwidth: number;
  readonly latency: number;
  readonly cacheLimit?: number;
  readonly predownload?: number;
  readonly shuffle?: SimulateOptions['shuffle'];
  readonly blockSize?: number;
  readonly canonicalNodes?: number;
  readonly seed: number;
  readonly svg?: string;
  readonly json?: boolean;
}

const MAX_SHARDS = 20_000_000;
/** what is kept of each takes some hundred bytes */
const MAX_USES = 20_000_000;

/** @returns the command `simulate` */
export function simulateCommand(context: CliContext): Command {
  const command = new Command('simulate')
    .description('what a run on many nodes would download, keep in its cache and wait for')
    .argument(
      '[recipe]',
      'takes train.batchSequences, and shuffle, blockSize and canonicalNodes of data.stream, from it',
    )
    .option('--index <folder>', 'the shards of an MDS data set, by its index.json')
    .option('--samples <n>', 'instead of --index: how many samples', positive)
    .option('--shard-samples <n>', 'samples a shard', positive)
    .option('--shard-size <bytes>', 'of a shard, unpacked: 64MB, 1.5GiB', byteCount, 2 ** 26)
    .option('--compression-ratio <r>', 'unpacked bytes a packed one', positiveNumber, 1)
    .option('--nodes <n>', 'machines, each with a cache and a link of its own', positive, 1)
    .option('--devices <n>', 'devices a node', positive, 8)
    .option('--batch <n>', 'sequences a step, of all devices', positive)
    .option('--steps <n>', 'default: one epoch', positive)
    .option('--step-time <seconds>', 'of computing alone', positiveNumber, 1)
    .option('--bandwidth <bytes>', 'of a node’s link, a second', byteCount, 1e9)
    .option('--latency <ms>', 'before the first byte of a shard', wholeNumber, 50)
    .option('--cache-limit <bytes>', 'of a node; default: none', byteCount)
    .option('--predownload <n>', 'sequences a device fetches ahead; default: eight steps', positive)
    .addOption(
      new Option('--shuffle <name>', 'the order; default: the recipe’s, or block').choices(
        SIMULATED_SHUFFLES,
      ),
    )
    .option(
      '--block-size <n>',
      'samples shuffled among themselves; default: the recipe’s, or as in training',
      positive,
    )
    .option('--canonical-nodes <n>', 'default: the recipe’s, or the nodes; py1s, py2s: 64 a node', positive)
    .option('--seed <n>', 'of the order', wholeNumber, 0)
    .option('--svg <file>', 'a figure of throughput and downloads over time')
    .option('--json', 'one JSON object, with the course over time');
  return command
    .addHelpText(
      'after',
      `${examples([
        ['dabarex data simulate --index shards --nodes 4 --batch 256', 'the shards of a data set'],
        [
          'dabarex data simulate --samples 1000000000 --shard-samples 8192 --nodes 384 --batch 24576',
          'a plan',
        ],
        [
          'dabarex data simulate quickstart --index shards --cache-limit 2GB --svg run.svg',
          'a recipe’s batch and order',
        ],
      ])}\nData workers change when a device asks, not what a node downloads, and so are no option.\n`,
    )
    .action((recipe: string | undefined, options: Options) => run(recipe, options, context));
}

function run(recipePath: string | undefined, options: Options, context: CliContext): void {
  const shards = shardsOf(options, context.cwd);
  const recipe = recipePath === undefined ? undefined : loadRecipe(recipePath, [], context.cwd);
  const batch = options.batch ?? batchOf(recipe);
  const plan = planOf({ ...orderOf(recipe), ...options }, shards, batch);
  requireBounded(plan);
  const result = simulate(plan);
  if (options.svg !== undefined) {
    writeFileAtomic(resolve(context.cwd, options.svg), simulationFigure(result));
  }
  if (options.json) context.printJson({ ...settingsOf(plan), ...result });
  else context.print(render(plan, result));
}

function planOf(options: Options, shards: readonly SimulatedShard[], globalBatch: number): SimulateOptions {
  const { nodes, devices, shuffle = 'block' } = options;
  if (globalBatch % (nodes * devices) !== 0) {
    throw usage(
      `${globalBatch} sequences a step cannot be shared by ${nodes} x ${devices} devices. Choose a multiple of ${nodes * devices}.`,
    );
  }
  const numSamples = shards.reduce((sum, each) => sum + each.samples, 0);
  if (numSamples === 0) {
    throw new DabarexError('data_empty', 'The data set holds no samples, so there is nothing to simulate.');
  }
  const isShardwise = shuffle === 'py1s' || shuffle === 'py2s';
  const canonicalNodes = options.canonicalNodes ?? Math.min(numSamples, isShardwise ? 64 * nodes : nodes);
  const isOwn = shuffle === 'block' || shuffle === 'full' || shuffle === 'none';
  const mosaicBlock = Math.max(Math.floor(4_000_000 / canonicalNodes), 2 ** 18);
  const batchOfDevice = globalBatch / (nodes * devices);
  return {
    shards,
    shuffle,
    blockSize: options.blockSize ?? (isOwn ? DEFAULT_BLOCK_SIZE : mosaicBlock),
    canonicalNodes,
    seed: options.seed,
    nodes,
    globalBatch,
    numSteps: options.steps ?? Math.ceil(numSamples / globalBatch),
    stepSeconds: options.stepTime,
    bytesPerSecond: options.bandwidth,
    latencySeconds: options.latency / 1000,
    cacheLimitBytes: options.cacheLimit,
    predownloadSteps: options.predownload === undefined ? 8 : Math.floor(options.predownload / batchOfDevice),
  };
}

/** @throws usage_invalid where more shards would be used than fit into memory */
function requireBounded(plan: SimulateOptions): void {
  const { numSamples, numShards } = settingsOf(plan);
  const epochs = Math.ceil((plan.numSteps * plan.globalBatch) / numSamples);
  const uses = epochs * (numShards + plan.canonicalNodes);
  if (uses <= MAX_USES) return;
  throw usage(
    `${formatCount(epochs)} epochs of ${formatCount(numShards)} shards on ${formatCount(plan.canonicalNodes)} canonical nodes are ` +
      `more than the ${formatCount(MAX_USES)} uses of shards that can be followed. Choose fewer steps.`,
  );
}

function shardsOf(options: Options, cwd: string): SimulatedShard[] {
  const { index, samples, shardSamples, shardSize, compressionRatio } = options;
  if (index !== undefined) {
    if (samples !== undefined || shardSamples !== undefined) {
      throw usage('--index names the shards, so --samples and --shard-samples cannot be given too.');
    }
    return indexedShards(resolve(cwd, index));
  }
  if (samples === undefined || shardSamples === undefined) {
    throw usage('Say which shards: --index FOLDER, or --samples N and --shard-samples N.');
  }
  const count = Math.ceil(samples / shardSamples);
  if (count > MAX_SHARDS) {
    throw usage(
      `${formatCount(count)} shards are more than the ${formatCount(MAX_SHARDS)} that can be simulated.`,
    );
  }
  return Array.from({ length: count }, (_, i) => {
    const held = Math.min(shardSamples, samples - i * shardSamples);
    const downloadBytes = (shardSize * held) / shardSamples / compressionRatio;
    return { samples: held, downloadBytes, cacheBytes: downloadBytes };
  });
}

function batchOf(recipe: Recipe | undefined): number {
  if (recipe === undefined) throw usage('Say how many sequences a step has: --batch N, or name a recipe.');
  return requirePart(recipe, 'train').batchSequences;
}

/** What options stand in place of. */
function orderOf(recipe: Recipe | undefined): Pick<Options, 'shuffle' | 'blockSize' | 'canonicalNodes'> {
  const { shuffle, blockSize, canonicalNodes } = recipe?.data?.stream ?? {};
  return { shuffle, blockSize, canonicalNodes };
}

function settingsOf({ shards, ...plan }: SimulateOptions) {
  return {
    ...plan,
    numShards: shards.length,
    numSamples: shards.reduce((sum, each) => sum + each.samples, 0),
  };
}

function render(plan: SimulateOptions, result: Simulation): string {
  const { numSteps, totalSeconds, stallSeconds, quality } = result;
  const share = (100 * stallSeconds) / totalSeconds;
  const { numSamples, numShards } = settingsOf(plan);
  const rows = [
    ['shards, samples', `${formatCount(numShards)}, ${formatCount(numSamples)}`],
    [
      'order',
      `${plan.shuffle}, ${formatCount(plan.canonicalNodes)} canonical nodes, blocks of ${formatCount(plan.blockSize)}`,
    ],
    [
      'steps',
      `${formatCount(numSteps)} in ${formatSeconds(totalSeconds)}, ${result.stepsPerSecond.toPrecision(3)} a second`,
    ],
    ['first batch after', `${result.timeToFirstBatchSeconds.toFixed(2)} s`],
    ['waiting for data', `${formatSeconds(stallSeconds)} (${share.toFixed(1)} %)`],
    ['downloads', `${formatCount(result.numDownloads)} shards, ${formatBytes(result.downloadBytes)}`],
    [
      'of one node at most',
      `${formatCount(result.maxNodeDownloads)} shards, ${formatBytes(result.maxNodeDownloadBytes)}`,
    ],
    [
      'cache of one node',
      `${formatBytes(result.maxCacheBytes)}; in use at one time ${formatBytes(result.peakNeededBytes)}`,
    ],
    ['shards in use', `${quality.shardsInUse.toFixed(1)} at one time on a node, on average`],
    ['a shard is spread over', `${(100 * quality.shardSpread).toFixed(3)} % of its node's epoch`],
  ];
  const table = formatTable(['', ''], rows).trimStart();
  if (!result.cacheTooSmall) return table;
  const advice = `give at least ${formatBytes(result.peakNeededBytes)}, a smaller --block-size or more --canonical-nodes`;
  return `${table}\n\nThe cache limit is below what is in use at one time, so shards would be downloaded again and again (not counted): ${advice}.`;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1e9))
    throw new InvalidArgumentError('It must be a number above 0, up to 10^9.');
  return value;
}

function usage(message: string): DabarexError {
  return new DabarexError('usage_invalid', message);
}
