/** `dabarex data lineage`: the documents and sources that a training sample was made of. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { type SampleLineage, sampleLineage } from '../../../prepare/index.ts';
import type { CliContext } from '../../context.ts';
import { examples } from '../../help.ts';
import { formatTable } from '../../output.ts';
import { wholeNumber } from '../../sampling.ts';

interface LineageOptions {
  readonly documents?: string;
  readonly text?: boolean;
  readonly json?: boolean;
}

/** @returns the command `lineage` */
export function lineageCommand(context: CliContext): Command {
  return new Command('lineage')
    .description('the documents and sources that a sample of token shards was made of')
    .argument('<folder>', 'token shards of a domain, as shards/KEY/train/prose of the cache')
    .argument('<sample>', 'its number, from 0', wholeNumber)
    .option('--documents <folder>', 'the documents the shards were made of; default: those of the cache')
    .option('--text', 'with the texts')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex data lineage shards/KEY/train/prose 1200', 'where the text of sample 1200 is from'],
        ['dabarex data lineage shards/KEY/train/prose 1200 --text', 'and the texts'],
      ]),
    )
    .action(async (folder: string, sample: number, options: LineageOptions) => {
      const documents = options.documents && resolve(context.cwd, options.documents);
      const lineage = await sampleLineage(resolve(context.cwd, folder), sample, documents);
      if (options.json) context.printJson(withoutTexts(lineage, options.text));
      else context.print(render(lineage, options.text));
    });
}

function withoutTexts(lineage: SampleLineage, keep = false): object {
  const documents = lineage.documents.map(({ text, ...each }) => (keep ? { ...each, text } : each));
  return { ...lineage, documents };
}

function render({ split, domain, documents, documentsFile }: SampleLineage, withText = false): string {
  const rows = documents.map((each) => [
    `${each.firstToken}..${each.endToken - 1}`,
    each.id,
    each.source,
    each.path,
    each.isChanged ? 'changed by stages' : 'as extracted',
  ]);
  const table = formatTable(['tokens', 'document', 'source', 'path', 'text'], rows);
  const texts = withText ? documents.map(({ id, text }) => `\n--- ${id}\n${text}`) : [];
  return [`${split} ${domain}, documents in ${documentsFile}`, table, ...texts].join('\n');
}
