/** `dabarex data experiments`: the variants of data that were tried, what differed, and the losses of the runs that used them. */
import { Command } from 'commander';
import { type Experiment, listExperiments } from '../../../runs/index.ts';
import type { CliContext } from '../../context.ts';
import { examples } from '../../help.ts';
import { formatCount, formatTable } from '../../output.ts';

const SHOWN_VALUE = 60;

/** @returns the command `experiments` */
export function experimentsCommand(context: CliContext): Command {
  return new Command('experiments')
    .description('list the variants of data that runs were trained on, what differed, and the losses')
    .option('--runs-dir <folder>', 'where the runs are', context.runsDir)
    .option('--json', 'one JSON object a variant')
    .addHelpText(
      'after',
      `${examples([
        ['dabarex data experiments', 'the runs of this folder, by their data'],
        ['dabarex data experiments --json', 'for scripts'],
      ])}\nA variant is told by its settings (data, tokenizer, curriculum) and by the hash of its documents.\n`,
    )
    .action(({ runsDir, json }: { runsDir: string; json?: boolean }) => {
      const experiments = listExperiments(runsDir);
      if (json) for (const each of experiments) context.printJson(each);
      else if (experiments.length === 0) context.print(`No runs with data in ${runsDir}.`);
      else context.print(experiments.map(render).join('\n\n'));
    });
}

function render(experiment: Experiment, at: number): string {
  const { documentsKey, isOtherText, runs } = experiment;
  const head = `Variant ${at + 1}, documents ${documentsKey?.slice(0, 16) ?? 'not prepared yet'}`;
  const differences = experiment.differences.map(
    ({ path, stored, given }) => `  ${path}: ${shown(stored)} -> ${shown(given)}`,
  );
  const same = isOtherText ? ['  settings as in variant 1, other text or code'] : [];
  const domains = [...new Set(runs.flatMap((run) => Object.keys(run.bitsPerByte)))];
  const table = formatTable(
    ['run', 'state', 'step', 'loss (nats)', ...domains.map((name) => `${name} (bits/byte)`)],
    runs.map((run) => [
      run.name,
      run.state,
      formatCount(run.step),
      run.lossTrainNats?.toFixed(3) ?? '-',
      ...domains.map((name) => run.bitsPerByte[name]?.toFixed(3) ?? '-'),
    ]),
  );
  return [head, ...differences, ...same, table].join('\n');
}

function shown(value: unknown): string {
  if (value === undefined) return 'absent';
  const text = JSON.stringify(value);
  return text.length > SHOWN_VALUE ? `${text.slice(0, SHOWN_VALUE - 3)}...` : text;
}
