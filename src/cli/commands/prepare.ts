/** `dabarex prepare`: the documents of a recipe, cleaned and split, a table of what was kept, and a report of what was not. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { writeFileAtomic } from '../../base/index.ts';
import {
  type DomainReport,
  type PreparedCorpus,
  prepareCorpus,
  renderReport,
  type Share,
} from '../../prepare/index.ts';
import type { CliContext } from '../context.ts';
import { corpusConfigOf, readsTextFiles } from '../data-config.ts';
import { dataDirOf, sourcesDirOf } from '../folders.ts';
import { examples } from '../help.ts';
import { formatBytes, formatCount, formatTable } from '../output.ts';
import { addSetOption } from '../overrides.ts';
import { createProgressDisplay } from '../progress.ts';
import { loadRecipe, requirePart } from '../recipe.ts';
import { positive } from '../sampling.ts';
import { prepareTexts } from './prepare-texts.ts';

interface PrepareCommandOptions {
  readonly out?: string;
  readonly report?: string | boolean;
  readonly threads?: number;
  readonly task?: number;
  readonly of?: number;
  readonly json?: boolean;
  readonly set?: string[];
}

/** @returns the command `prepare` */
export function prepareCommand(context: CliContext): Command {
  const command = new Command('prepare')
    .description(
      'fetch, clean, deduplicate and split the text of a recipe; index text files that it reads as they are',
    )
    .argument('<recipe>', 'a recipe file, or the name of a recipe that comes with dabarex')
    .option(
      '--out <folder>',
      'where the documents go; default: in the cache, shared by recipes with the same data',
    )
    .option(
      '--report [file]',
      'write a page that tells what each stage removed and why; default: report.html',
    )
    .option('--threads <n>', 'default: all the machine offers, as far as data.memory allows', positive)
    .option(
      '--task <number>',
      'which of several tasks this is, from 1; all share --out or the cache',
      positive,
    )
    .option('--of <count>', 'how many tasks there are', positive)
    .option('--json', 'the manifest as one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex prepare quickstart', 'into the cache'],
        ['dabarex prepare quickstart --out corpus', 'into corpus/documents'],
        ['dabarex prepare quickstart --report why.html', 'with a report of what was removed'],
        [
          'dabarex prepare big.yaml --out /shared/big --task 3 --of 16',
          'a task of an array, of Slurm for one',
        ],
      ]),
    )
    .action((path: string, options: PrepareCommandOptions) =>
      prepare(path, options, shareOf(options, command), context),
    );
  return addSetOption(command);
}

/** The part of the work that is asked for; wrong usage where half of it is. */
function shareOf({ task, of }: PrepareCommandOptions, command: Command): Share | undefined {
  if (task === undefined && of === undefined) return undefined;
  if (task === undefined || of === undefined) command.error('error: --task and --of belong together');
  if (task > of) command.error(`error: there is no task ${task} of ${of}`);
  return { task: task - 1, of };
}

async function prepare(
  path: string,
  options: PrepareCommandOptions,
  share: Share | undefined,
  context: CliContext,
): Promise<void> {
  const recipe = loadRecipe(path, options.set, context.cwd);
  const data = requirePart(recipe, 'data');
  if (readsTextFiles(data)) return prepareTexts(recipe, options, share !== undefined, context);
  const config = corpusConfigOf(data);
  const progress = createProgressDisplay(context.stderr, context.now);
  let corpus: PreparedCorpus;
  try {
    context.watchInterrupts();
    corpus = await prepareCorpus(config, {
      dir: options.out ? resolve(context.cwd, options.out) : dataDirOf(context),
      byKey: options.out === undefined,
      cacheDir: sourcesDirOf(context),
      baseDir: context.cwd,
      npm: context.npm,
      threads: options.threads ?? context.threads,
      share,
      store: context.storage,
      signal: context.interrupted,
      onProgress: progress.onProgress,
      warn: progress.log,
    });
  } finally {
    progress.stop();
  }
  const report = options.report && writeReport(recipe.name, options.report, corpus, context);
  const { documentsDir, reused, manifest } = corpus;
  if (options.json) context.printJson({ documentsDir, report: report || undefined, reused, ...manifest });
  else context.print(`${renderCorpus(corpus)}${report ? `\nReport: ${report}` : ''}`);
}

/** @returns where the report is */
function writeReport(
  name: string,
  option: string | true,
  { documentsDir, manifest }: PreparedCorpus,
  context: CliContext,
): string {
  const path = resolve(context.cwd, option === true ? 'report.html' : option);
  writeFileAtomic(path, renderReport(name, documentsDir, manifest));
  return path;
}

function renderCorpus({ documentsDir, manifest, reused }: PreparedCorpus): string {
  const head = ['domain', 'documents', 'size', 'held out', 'held-out size'];
  const rows = Object.entries(manifest.domains).map(([name, { train, heldout }]: [string, DomainReport]) => [
    name,
    formatCount(train.documents),
    formatBytes(train.bytes),
    formatCount(heldout.documents),
    formatBytes(heldout.bytes),
  ]);
  return `${formatTable(head, rows)}\n\n${reused ? 'Already prepared' : 'Prepared'}: ${documentsDir}`;
}
