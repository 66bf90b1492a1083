/** `dabarex runs`: the runs of this folder, the one touched last first. */
import { Command } from 'commander';
import { listRuns, type RunSummary } from '../../runs/index.ts';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { formatBytes, formatCount, formatTable } from '../output.ts';

/** @returns the command `runs` */
export function runsCommand(context: CliContext): Command {
  return new Command('runs')
    .description('list the runs, the one touched last first')
    .option('--runs-dir <folder>', 'where the runs are', context.runsDir)
    .option('--json', 'one JSON object a run')
    .addHelpText(
      'after',
      examples([
        ['dabarex runs', 'a table'],
        ['dabarex runs --json', 'one object a line, for scripts'],
      ]),
    )
    .action(({ runsDir, json }: { runsDir: string; json?: boolean }) => {
      const runs = listRuns(runsDir);
      if (json) for (const run of runs) context.printJson(run);
      else if (runs.length === 0)
        context.print(`No runs in ${runsDir}. Start one: dabarex up recipes/quickstart.yaml`);
      else context.print(renderRuns(runs));
    });
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
