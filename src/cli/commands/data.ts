/** `dabarex data`: about sets of data. Each subcommand has a file in data/. */
import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { inspectCommand } from './data/inspect.ts';
import { mergeIndexCommand } from './data/merge-index.ts';

const SUBCOMMANDS: readonly ((context: CliContext) => Command)[] = [inspectCommand, mergeIndexCommand];

/** @returns `data` with its subcommands */
export function dataCommand(context: CliContext): Command {
  const data = new Command('data').description('about sets of data');
  for (const make of SUBCOMMANDS) data.addCommand(make(context));
  return data;
}
