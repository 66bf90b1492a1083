/** `dabarex eval`: a trained run against the held-out text of its recipe. Reads the run only, so it may be at work. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { parseConfig } from '../../base/index.ts';
import { findCheckpoint } from '../../checkpoint/index.ts';
import { loadModel } from '../../model/index.ts';
import { readRecipe, readRunData } from '../../runs/index.ts';
import type { WeightKind } from '../../tensor/index.ts';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { createProgressDisplay } from '../progress.ts';
import { recipeSchema } from '../recipe.ts';
import { positive, weightsOption } from '../sampling.ts';
import { makeTokenData } from '../stages/data.ts';
import { type Evaluation, evaluateDomains, evaluationTable, packingWindowOf } from '../stages/evaluation.ts';

interface EvalOptions {
  readonly tokens?: number;
  readonly threads?: number;
  readonly weights?: WeightKind;
  readonly json?: boolean;
}

/** @returns the command `eval` */
export function evalCommand(context: CliContext): Command {
  return new Command('eval')
    .description('bits per byte of a run’s newest checkpoint on its held-out text, beside xz -9e')
    .argument('<run>', 'a run by name or folder')
    .option('--tokens <n>', 'of every domain; default: all', positive)
    .addOption(weightsOption())
    .option('--threads <n>', 'default: all the machine offers', positive)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex eval quickstart', 'all held-out text'],
        ['dabarex eval quickstart --tokens 20000 --json', 'a quick look, for a script'],
        ['dabarex eval quickstart --weights int8', 'what fewer bits cost'],
      ]),
    )
    .action((name: string, options: EvalOptions) => evaluate(name, options, context));
}

async function evaluate(name: string, options: EvalOptions, context: CliContext): Promise<void> {
  const given = resolve(context.cwd, name);
  const path = existsSync(join(given, 'recipe.yaml')) ? given : join(context.runsDir, name);
  const recipe = parseConfig(recipeSchema, readRecipe(path), join(path, 'recipe.yaml'));
  const { dir } = findCheckpoint(path);
  const threads = options.threads ?? context.threads;
  const progress = createProgressDisplay(context.stderr, context.now);
  context.watchInterrupts();
  let domains: Evaluation;
  try {
    const data = await makeTokenData(
      {
        recipe,
        context,
        threads,
        onProgress: progress.onProgress,
        log: progress.log,
        reusableStage: (_, work) => work(() => undefined),
      },
      { baseDir: baseDirOf(path, context), checkpoint: dir, recorded: readRunData(path) },
    );
    const { model } = loadModel(dir, { threads, precision: 'auto', weights: options.weights });
    domains = await evaluateDomains(model, data, {
      sequenceLength: data.sequenceLength,
      packingWindow: packingWindowOf(recipe),
      maxTokens: options.tokens,
      compareWithXz: true,
      signal: context.interrupted,
      onTokens: (domain, done) =>
        progress.update({ stage: `eval ${domain}`, done, total: 0, unit: 'tokens' }),
    });
    context.interrupted.throwIfAborted();
  } finally {
    progress.stop();
  }
  if (options.json) context.printJson({ run: path, model: dir, domains });
  else context.print(evaluationTable(domains, recipe.tokenizer?.kind));
}

/** What the recipe's relative paths start from: the folder in whose runs/ the run stands, where it does. */
function baseDirOf(runPath: string, context: CliContext): string {
  const parent = dirname(runPath);
  return basename(parent) === basename(context.runsDir) ? dirname(parent) : context.cwd;
}
