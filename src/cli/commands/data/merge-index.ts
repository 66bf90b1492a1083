/** `dabarex data merge-index`: one index over several data sets in subfolders. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { mergeMdsIndexes } from '../../../stream/index.ts';
import type { CliContext } from '../../context.ts';
import { examples } from '../../help.ts';
import { formatCount } from '../../output.ts';

/** @returns the command `merge-index` */
export function mergeIndexCommand(context: CliContext): Command {
  return new Command('merge-index')
    .description(
      'write FOLDER/index.json over the MDS data sets in its subfolders, as MosaicML’s merge_index does',
    )
    .argument('<folder>', 'where index.json goes')
    .argument(
      '[indexes...]',
      'index.json files, or their folders, in the order wanted; default: those of all subfolders',
    )
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex data merge-index shards', 'of shards/*/index.json, in the order of the names'],
        ['dabarex data merge-index shards shards/b shards/a', 'of these two, in this order'],
      ]),
    )
    .action((folder: string, indexes: string[], { json }: { json?: boolean }) => {
      const out = resolve(context.cwd, folder);
      const paths = indexes.map((each) => resolve(context.cwd, each));
      const merged = mergeMdsIndexes(out, paths.length > 0 ? paths : undefined);
      if (json) context.printJson(merged);
      else {
        const { numIndexes, numShards, numSamples } = merged;
        const what = `${formatCount(numShards)} shards, ${formatCount(numSamples)} samples of ${formatCount(numIndexes)} indexes`;
        context.print(`${merged.path}: ${what}`);
      }
    });
}
