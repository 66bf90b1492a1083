/** `dabarex train`: a recipe up to its trained model, without evaluation and server. */
import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { addSetOption } from '../overrides.ts';
import { loadRecipe } from '../recipe.ts';
import { positive } from '../sampling.ts';
import { withRun } from '../session.ts';
import { prepareTokenData } from '../stages/data.ts';
import { trainModel } from '../stages/training.ts';

interface TrainOptions {
  readonly threads?: number;
  readonly json?: boolean;
  readonly set?: string[];
}

/** @returns the command `train` */
export function trainCommand(context: CliContext): Command {
  const command = new Command('train')
    .description('train the model of a recipe, from its last checkpoint where there is one')
    .argument('<recipe>', 'a recipe file, or the name of a recipe that comes with dabarex')
    .option('--threads <n>', 'default: all the machine offers', positive)
    .option('--json', 'run, step and outcome as one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex train quickstart', 'text and tokenizer are prepared first where they are not'],
        [
          'dabarex train shakespeare --set data.domains.prose.sources.0.url=file:input.txt',
          'a text of yours',
        ],
        ['dabarex train quickstart --set name=hot --set train.optimizer.learningRate=0.01', 'a variant'],
      ]),
    )
    .action((path: string, options: TrainOptions) => train(path, options, context));
  return addSetOption(command);
}

async function train(path: string, options: TrainOptions, context: CliContext): Promise<void> {
  const recipe = loadRecipe(path, options.set, context.cwd);
  context.watchInterrupts();
  await withRun(recipe, options.threads ?? context.threads, context, async (session) => {
    const { step, outcome } = await trainModel(session, await prepareTokenData(session));
    if (options.json) context.printJson({ run: session.run.path, step, outcome });
    else
      session.log(
        `${outcome === 'completed' ? 'Trained' : 'Interrupted'}: ${session.run.path}, step ${step}`,
      );
  });
}
