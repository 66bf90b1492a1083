/** `dabarex tokenizer train`: the tokenizer of a recipe, from its prepared documents. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { saveTokenizer } from '../../tokenizer/index.ts';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { formatCount } from '../output.ts';
import { addSetOption } from '../overrides.ts';
import { createProgressDisplay } from '../progress.ts';
import { loadRecipe, requirePart } from '../recipe.ts';
import { makeRecipeTokenizer } from '../stages/data.ts';

interface TrainOptions {
  readonly out: string;
  readonly json?: boolean;
  readonly set?: string[];
}

/** @returns `tokenizer` with its one subcommand */
export function tokenizerCommand(context: CliContext): Command {
  const train = new Command('train')
    .description('train the tokenizer of a recipe; prepares its documents first where they are not')
    .argument('<recipe>', 'a recipe file, or the name of a recipe that comes with dabarex')
    .option('--out <file>', 'where it goes', 'tokenizer.json')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex tokenizer train quickstart', 'into tokenizer.json'],
        ['dabarex tokenizer train quickstart --set tokenizer.vocabSize=4096', 'a smaller one'],
      ]),
    )
    .action((path: string, options: TrainOptions) => trainTokenizer(path, options, context));
  return new Command('tokenizer').description('about tokenizers').addCommand(addSetOption(train));
}

async function trainTokenizer(path: string, options: TrainOptions, context: CliContext): Promise<void> {
  const recipe = loadRecipe(path, options.set, context.cwd);
  const config = requirePart(recipe, 'tokenizer');
  const progress = createProgressDisplay(context.stderr, context.now);
  const out = resolve(context.cwd, options.out);
  let vocabSize: number;
  try {
    context.watchInterrupts();
    const { tokenizer } = await makeRecipeTokenizer({
      recipe,
      context,
      threads: context.threads,
      onProgress: progress.onProgress,
      log: progress.log,
      reusableStage: (_, work) => work(() => undefined),
    });
    saveTokenizer(out, tokenizer);
    vocabSize = tokenizer.vocabSize;
  } finally {
    progress.stop();
  }
  if (options.json) context.printJson({ path: out, kind: config.kind, vocabSize });
  else context.print(`${out}: ${formatCount(vocabSize)} tokens`);
}
