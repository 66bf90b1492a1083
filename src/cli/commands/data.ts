/** `dabarex data`: about sets of data. Each subcommand has a file in data/. */
import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { convertCommand } from './data/convert.ts';
import { experimentsCommand } from './data/experiments.ts';
import { inspectCommand } from './data/inspect.ts';
import { lineageCommand } from './data/lineage.ts';
import { mergeIndexCommand } from './data/merge-index.ts';
import { pruneCommand } from './data/prune.ts';
import { simulateCommand } from './data/simulate.ts';

const SUBCOMMANDS: readonly ((context: CliContext) => Command)[] = [
  inspectCommand,
  convertCommand,
  mergeIndexCommand,
  lineageCommand,
  simulateCommand,
  experimentsCommand,
  pruneCommand,
];

/** @returns `data` with its subcommands */
export function dataCommand(context: CliContext): Command {
  const data = new Command('data').description('about sets of data');
  for (const make of SUBCOMMANDS) data.addCommand(make(context));
  return data;
}
