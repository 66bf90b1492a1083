/** `dabarex profile`: where the time and the memory of a recipe's training steps go. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { writeFileAtomic } from '../../base/index.ts';
import { chromeTrace } from '../../train/index.ts';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { addSetOption } from '../overrides.ts';
import { renderProfile } from '../profile-tables.ts';
import { profileRecipe } from '../profiling.ts';
import { loadRecipe } from '../recipe.ts';
import { positive, wholeNumber } from '../sampling.ts';

interface ProfileOptions {
  readonly steps: number;
  readonly warmup: number;
  readonly threads?: number;
  readonly randomTokens?: boolean;
  readonly trace?: string;
  readonly json?: boolean;
  readonly set?: string[];
}

/** @returns the command `profile` */
export function profileCommand(context: CliContext): Command {
  const command = new Command('profile')
    .description(
      'time, FLOPs, bytes and memory of training steps, by kernel, phase and layer, beside the limits of this machine; ' +
        'trains on the recipe’s data where a run has prepared it, else on random tokens; downloads and keeps nothing',
    )
    .argument('<recipe>', 'a recipe file, or the name of a recipe that comes with dabarex')
    .option('--steps <n>', 'steps to measure', positive, 10)
    .option('--warmup <n>', 'steps before those', wholeNumber, 2)
    .option('--threads <n>', 'default: all the machine offers', positive)
    .option('--random-tokens', 'random tokens even where the data is prepared')
    .option('--trace <file>', 'also write a Chrome trace, for ui.perfetto.dev or chrome://tracing')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex profile quickstart', 'ten steps of the quickstart model'],
        ['dabarex profile quickstart --steps 3 --trace trace.json', 'a timeline of three steps'],
        ['dabarex profile quickstart --set train.microbatchSequences=4', 'what a change means'],
      ]),
    )
    .action((path: string, options: ProfileOptions) => profile(path, options, context));
  return addSetOption(command);
}

async function profile(path: string, options: ProfileOptions, context: CliContext): Promise<void> {
  const recipe = loadRecipe(path, options.set, context.cwd);
  context.watchInterrupts();
  const settings = {
    steps: options.steps,
    warmupSteps: options.warmup,
    threads: options.threads ?? context.threads,
    randomTokens: options.randomTokens ?? false,
  };
  const result = await profileRecipe(recipe, settings, context);
  const processBytes = process.resourceUsage().maxRSS * 1024;
  if (options.json) context.printJson({ ...result.profile, processBytes });
  else context.print(renderProfile(result.profile, processBytes));
  if (options.trace === undefined) return;
  const file = resolve(context.cwd, options.trace);
  const title = `dabarex profile ${recipe.name} (${result.profile.engine})`;
  writeFileAtomic(file, JSON.stringify(chromeTrace(result.profiler, title)));
  context.stderr.write(`Trace: ${file}. Open it in https://ui.perfetto.dev or chrome://tracing.\n`);
}
