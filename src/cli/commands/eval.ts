/** `dabarex eval`: a trained run against the held-out text of its recipe. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { parseConfig } from '../../base/index.ts';
import { loadModelFolder } from '../../model/index.ts';
import { readRecipe } from '../../runs/index.ts';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { findModelFolder } from '../model-folder.ts';
import { recipeSchema } from '../recipe.ts';
import { positive } from '../sampling.ts';
import { type RunSession, withRun } from '../session.ts';
import { prepareTokenData } from '../stages/data.ts';
import { compareWithXz, evaluateDomains, evaluationTable } from '../stages/evaluation.ts';

interface EvalOptions {
  readonly tokens?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

/** @returns the command `eval` */
export function evalCommand(context: CliContext): Command {
  return new Command('eval')
    .description('bits per byte of a run’s newest checkpoint on its held-out text, beside xz -9e')
    .argument('<run>', 'a run by name or folder')
    .option('--tokens <n>', 'of every domain; default: all', positive)
    .option('--threads <n>', 'default: all the machine offers', positive)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex eval quickstart', 'all held-out text'],
        ['dabarex eval quickstart --tokens 20000 --json', 'a quick look, for a script'],
      ]),
    )
    .action((name: string, options: EvalOptions) => evaluate(name, options, context));
}

async function evaluate(name: string, options: EvalOptions, context: CliContext): Promise<void> {
  const given = resolve(context.cwd, name);
  const path = existsSync(join(given, 'recipe.yaml')) ? given : join(context.runsDir, name);
  const recipe = parseConfig(recipeSchema, readRecipe(path), join(path, 'recipe.yaml'));
  const threads = options.threads ?? context.threads;
  const { dir } = findModelFolder(path, context);
  context.watchInterrupts();
  const work = async (session: RunSession) => {
    const data = await prepareTokenData(session);
    const { model } = loadModelFolder(dir, { threads, precision: 'auto' });
    const results = await evaluateDomains(model, data, {
      sequenceLength: data.manifest.sampleTokens - 1,
      maxTokens: options.tokens,
      signal: context.interrupted,
      onTokens: (domain, done) => session.report({ stage: `eval ${domain}`, done, total: 0, unit: 'tokens' }),
    });
    context.interrupted.throwIfAborted();
    return compareWithXz(results, data);
  };
  const domains = await withRun(recipe, threads, context, work, { recorded: false });
  if (options.json) context.printJson({ run: path, model: dir, domains });
  else context.print(evaluationTable(domains));
}
