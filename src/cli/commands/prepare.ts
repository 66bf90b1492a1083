/** `dabarex prepare`: the documents of a recipe, cleaned and split, and a table of what was kept. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { type DomainReport, type PreparedCorpus, prepareCorpus } from '../../prepare/index.ts';
import type { CliContext } from '../context.ts';
import { dataDirOf, sourcesDirOf } from '../folders.ts';
import { examples } from '../help.ts';
import { formatBytes, formatCount, formatTable } from '../output.ts';
import { addSetOption } from '../overrides.ts';
import { createProgressDisplay } from '../progress.ts';
import { loadRecipe, requirePart } from '../recipe.ts';

interface PrepareCommandOptions {
  readonly out?: string;
  readonly json?: boolean;
  readonly set?: string[];
}

/** @returns the command `prepare` */
export function prepareCommand(context: CliContext): Command {
  const command = new Command('prepare')
    .description('fetch, clean, deduplicate and split the text of a recipe')
    .argument('<recipe>', 'a recipe file, or the name of a recipe that comes with dabarex')
    .option(
      '--out <folder>',
      'where the documents go; default: in the cache, shared by recipes with the same data',
    )
    .option('--json', 'the manifest as one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex prepare quickstart', 'into the cache'],
        ['dabarex prepare quickstart --out corpus', 'into corpus/documents'],
      ]),
    )
    .action((path: string, options: PrepareCommandOptions) => prepare(path, options, context));
  return addSetOption(command);
}

async function prepare(path: string, options: PrepareCommandOptions, context: CliContext): Promise<void> {
  const recipe = loadRecipe(path, options.set, context.cwd);
  const config = requirePart(recipe, 'data');
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
      store: context.storage,
      signal: context.interrupted,
      onProgress: progress.onProgress,
      warn: progress.log,
    });
  } finally {
    progress.stop();
  }
  if (options.json)
    context.printJson({ documentsDir: corpus.documentsDir, reused: corpus.reused, ...corpus.manifest });
  else context.print(renderCorpus(corpus));
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
