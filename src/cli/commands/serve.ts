/** `dabarex serve`: the OpenAI-compatible endpoint and the page for a trained model. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { parseConfig } from '../../base/index.ts';
import { RUN_FILES, readRecipe } from '../../runs/index.ts';
import { type ServeConfig, serveConfigSchema } from '../../serve/index.ts';
import type { CliContext } from '../context.ts';
import { Front } from '../front.ts';
import { examples } from '../help.ts';
import { findModel } from '../model-folder.ts';
import { portNumber, positive, weightsOption, wholeNumber } from '../sampling.ts';

interface ServeOptions extends Partial<ServeConfig> {
  readonly threads?: number;
  readonly json?: boolean;
}

/** @returns the command `serve` */
export function serveCommand(context: CliContext): Command {
  return new Command('serve')
    .description('serve a trained model: OpenAI’s API and a web page')
    .argument('<model>', 'a run by name or folder, a model folder, or a .gguf file')
    .option(
      '--host <address>',
      'beyond loopback there is no authentication; default: the run’s recipe’s, or 127.0.0.1',
    )
    .option('--port <n>', '0 takes any free port; default: the recipe’s, or 8000', portNumber)
    .option('--slots <n>', 'answers generated at once; default: the recipe’s, or 8', positive)
    .option(
      '--max-queue <n>',
      'requests that wait for a slot at most; default: the recipe’s, or 128',
      wholeNumber,
    )
    .addOption(weightsOption())
    .option('--threads <n>', 'default: all the machine offers', positive)
    .option('--json', 'the address as one JSON object: url, model, dir')
    .addHelpText(
      'after',
      examples([
        ['dabarex serve quickstart', 'on http://127.0.0.1:8000'],
        ['dabarex serve path/to/model --port 0 --json', 'any free port, printed for a script'],
        ['curl http://127.0.0.1:8000/v1/models', 'what is served'],
      ]),
    )
    .action((model: string, options: ServeOptions) => serve(model, options, context));
}

async function serve(
  model: string,
  { threads, json, ...given }: ServeOptions,
  context: CliContext,
): Promise<void> {
  const { dir, name } = findModel(model, context);
  const { host, port, slots, maxQueue, weights } = { ...serveConfigOf(dir), ...given };
  const front = await Front.start({ host, port, runsDir: context.runsDir }, context);
  try {
    context.watchInterrupts();
    const loader = { dir, threads: threads ?? context.threads, precision: 'auto', weights } as const;
    await front.serveModel({ id: name, loader, engine: { slots, maxQueue } });
    context.interrupted.throwIfAborted();
    const { url } = front;
    if (json) context.printJson({ url, model: name, dir });
    else context.print(`${name}: ${url} (page), ${url}/v1 (OpenAI’s API). Ctrl-C ends.`);
    await front.untilInterrupted();
  } finally {
    await front.close();
  }
}

/** The `serve` part of the recipe whose run holds the model folder `dir` as a checkpoint; defaults where it is of no run. */
function serveConfigOf(dir: string): ServeConfig {
  const run = dirname(dirname(dir));
  const path = join(run, RUN_FILES.recipe);
  const part = existsSync(path) ? readRecipe(run).serve : undefined;
  return parseConfig(serveConfigSchema, part ?? {}, `${path}, part "serve"`);
}
