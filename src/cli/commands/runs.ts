/** `dabarex runs`: the runs of this folder, the one touched last first; `runs rm`: away with one; `runs mix`: its mix of data. */
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { findRun, listRuns, type RunSummary, readStatus, removeRun } from '../../runs/index.ts';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { formatBytes, formatCount, formatTable } from '../output.ts';
import { mixCommand } from './runs-mix.ts';

interface RunsOptions {
  readonly runsDir: string;
  readonly json?: boolean;
}

interface RemoveOptions extends RunsOptions {
  readonly yes?: boolean;
}

/** @returns `runs` with its subcommands; without a word of them it lists */
export function runsCommand(context: CliContext): Command {
  return new Command('runs')
    .description('list the runs, change the mix of one at work, or remove one')
    .addHelpText(
      'after',
      examples([
        ['dabarex runs', 'a table'],
        ['dabarex runs --json', 'one object a line, for scripts'],
        ['dabarex runs rm old', 'remove the run old'],
      ]),
    )
    .addCommand(listCommand(context), { isDefault: true })
    .addCommand(mixCommand(context))
    .addCommand(removeCommand(context));
}

function listCommand(context: CliContext): Command {
  return new Command('list')
    .description('list the runs, the one touched last first; what `dabarex runs` does')
    .option('--runs-dir <folder>', 'where the runs are', context.runsDir)
    .option('--json', 'one JSON object a run')
    .addHelpText('after', examples([['dabarex runs list --runs-dir elsewhere', 'those of another folder']]))
    .action(({ runsDir, json }: RunsOptions) => {
      const runs = listRuns(runsDir);
      if (json) for (const run of runs) context.printJson(run);
      else if (runs.length === 0) context.print(`No runs in ${runsDir}. Start one: dabarex up quickstart`);
      else context.print(renderRuns(runs));
    });
}

function removeCommand(context: CliContext): Command {
  const command = new Command('rm')
    .description('remove a run and its checkpoints; prepared text and downloads stay in the cache')
    .argument('<name>', 'as `dabarex runs` lists it')
    .option('--yes', 'do not ask')
    .option('--runs-dir <folder>', 'where the runs are', context.runsDir)
    .option('--json', 'what was removed as one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex runs rm old', 'asks first'],
        ['dabarex runs rm old --yes', 'for scripts'],
      ]),
    );
  return command.action(async (name: string, options: RemoveOptions) => {
    const path = findRun(options.runsDir, name);
    const asked = options.yes || context.stdin.isTTY;
    if (!asked) command.error('error: there is no terminal to ask on; give --yes to remove without asking');
    if (!options.yes && !(await confirmed(path, context))) return context.print('Nothing was removed.');
    removeRun(options.runsDir, name, context.now);
    if (options.json) context.printJson({ removed: path });
    else context.print(`Removed ${path}.`);
  });
}

async function confirmed(path: string, context: CliContext): Promise<boolean> {
  const { state, step } = readStatus(path);
  const terminal = createInterface({ input: context.stdin, output: context.stderr });
  try {
    const answer = await terminal.question(
      `Remove ${path} (${state}, step ${formatCount(step)}) for ever? [y/N] `,
    );
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

function renderRuns(runs: readonly RunSummary[]): string {
  const head = ['run', 'state', 'step', 'of', 'loss (nats)', 'size', 'updated'];
  const rows = runs.map(({ name, status, lastMetrics, sizeBytes }) => [
    name,
    status.state,
    formatCount(status.step),
    status.totalSteps === undefined ? '-' : formatCount(status.totalSteps),
    lastMetrics?.loss_train_nats?.toFixed(3) ?? '-',
    formatBytes(sizeBytes),
    status.updatedAt?.replace(/\.\d+Z$/, 'Z') ?? '-',
  ]);
  return formatTable(head, rows);
}
