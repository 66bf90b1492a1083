/** `dabarex data prune`: prepared data in the cache that no run uses; with --yes, away with it. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { type CacheEntry, listDataCache, pruneDataCache, type UsedKeys } from '../../../prepare/index.ts';
import { listRuns, readRunData } from '../../../runs/index.ts';
import type { CliContext } from '../../context.ts';
import { dataDirOf } from '../../folders.ts';
import { examples } from '../../help.ts';
import { formatBytes, formatTable } from '../../output.ts';

interface PruneOptions {
  readonly yes?: boolean;
  readonly runsDir: string[];
  readonly json?: boolean;
}

/** @returns the command `prune` */
export function pruneCommand(context: CliContext): Command {
  return new Command('prune')
    .description('list prepared data in the cache that no run uses, or remove it')
    .option('--yes', 'remove what is listed')
    .option('--runs-dir <folders...>', 'where runs are; name every folder whose runs shall keep their data', [
      context.runsDir,
    ])
    .option('--json', 'one JSON object an entry')
    .addHelpText(
      'after',
      `${examples([
        ['dabarex data prune', 'what could go, and how large it is'],
        ['dabarex data prune --runs-dir a/runs b/runs --yes', 'remove what the runs of both do not use'],
      ])}\nRuns elsewhere are not known: their data is made again when they need it. What a process is at work on stays.\n`,
    )
    .action((options: PruneOptions) => prune(options, context));
}

function prune(options: PruneOptions, context: CliContext): void {
  const dataDir = dataDirOf(context);
  const used = usedKeys(options.runsDir.map((each) => resolve(context.cwd, each)));
  const entries = options.yes
    ? pruneDataCache(dataDir, used)
    : listDataCache(dataDir, used).filter(({ use }) => use === 'unused' || use === 'leftover');
  if (options.json) {
    for (const entry of entries) context.printJson({ ...entry, removed: options.yes === true });
    return;
  }
  const total = formatBytes(entries.reduce((sum, each) => sum + each.sizeBytes, 0));
  if (entries.length === 0) context.print(`Nothing in ${dataDir} is without use.`);
  else if (options.yes) context.print(`${render(entries)}\n\nRemoved ${total}.`);
  else context.print(`${render(entries)}\n\n${total} in all; --yes removes it.`);
}

/** What the runs under these folders were trained on. */
function usedKeys(runsDirs: readonly string[]): UsedKeys {
  const data = runsDirs.flatMap(listRuns).flatMap(({ path }) => readRunData(path) ?? []);
  return {
    documents: new Set(data.map((each) => each.documents_key)),
    shards: new Set(data.map((each) => each.shards_key)),
  };
}

function render(entries: readonly CacheEntry[]): string {
  const rows = entries.map(({ kind, name, sizeBytes, use }) => [kind, name, formatBytes(sizeBytes), use]);
  return formatTable(['kind', 'name', 'size', 'why'], rows);
}
