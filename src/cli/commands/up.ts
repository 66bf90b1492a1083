/** `dabarex up`: everything, from text to a served model, continuing where an earlier call stopped. */
import { Command } from 'commander';
import { createServer, type Listening, type Server, startServer } from '../../serve/index.ts';
import type { CliContext } from '../context.ts';
import { startEngine } from '../engine.ts';
import { examples } from '../help.ts';
import { findModelFolder } from '../model-folder.ts';
import { addSetOption } from '../overrides.ts';
import { loadRecipe, type Recipe } from '../recipe.ts';
import { portNumber, positive } from '../sampling.ts';
import { type RunSession, withRun } from '../session.ts';
import { prepareTokenData, type TokenData } from '../stages/data.ts';
import { type Evaluation, evaluateRun, evaluationTable, finishedEvaluation } from '../stages/evaluation.ts';
import { trainModel } from '../stages/training.ts';
import { pageDir, untilAborted } from './serve.ts';

interface UpOptions {
  readonly serve: boolean;
  readonly host?: string;
  readonly port?: number;
  readonly threads?: number;
  readonly set?: string[];
}

/** @returns the command `up` */
export function upCommand(context: CliContext): Command {
  const command = new Command('up')
    .description('prepare text, train tokenizer and model, evaluate and serve: all of a recipe')
    .argument('<recipe>', 'a recipe file, or the name of a recipe that comes with dabarex')
    .option('--no-serve', 'end after the evaluation')
    .option('--host <address>', 'beyond loopback there is no authentication; default: the recipe’s')
    .option('--port <n>', '0 takes any free port; default: the recipe’s', portNumber)
    .option('--threads <n>', 'default: all the machine offers', positive)
    .addHelpText(
      'after',
      examples([
        ['dabarex up quickstart', 'the page is up at once, the model when it is trained'],
        ['dabarex up quickstart --no-serve', 'for a script: ends with the table of the evaluation'],
        ['dabarex up quickstart --set name=long --set train.duration=8Mtok', 'a longer run beside it'],
      ]),
    )
    .action((path: string, options: UpOptions) => up(path, options, context));
  return addSetOption(command);
}

async function up(path: string, options: UpOptions, context: CliContext): Promise<void> {
  const recipe = loadRecipe(path, options.set, context.cwd);
  const front = options.serve ? await openFront(recipe, options, context) : undefined;
  try {
    context.watchInterrupts();
    const threads = options.threads ?? context.threads;
    if (front) context.print(`${recipe.name}: ${front.listening.url}`);
    await withRun(recipe, threads, context, makeModel);
    context.interrupted.throwIfAborted();
    if (front) await serve(recipe, front, threads, context);
  } finally {
    await front?.listening.close();
  }
}

/** Text to evaluated model, each stage skipped that is done. */
async function makeModel(session: RunSession): Promise<void> {
  const { context } = session;
  const data = await prepareTokenData(session);
  const results = finishedEvaluation(session, data) ?? (await trainAndEvaluate(session, data));
  if (!results) return;
  session.log('');
  context.print(evaluationTable(results));
  context.print(`\nRun: ${session.run.path}`);
}

/** Undefined when training was interrupted. */
async function trainAndEvaluate(session: RunSession, data: TokenData): Promise<Evaluation | undefined> {
  const { model, step, outcome } = await trainModel(session, data);
  return outcome === 'interrupted' ? undefined : evaluateRun(session, model, data, step);
}

interface Front {
  readonly server: Server;
  readonly listening: Listening;
}

/** The page from the first moment, before there is a model. @throws port_in_use */
async function openFront(recipe: Recipe, options: UpOptions, context: CliContext): Promise<Front> {
  const host = options.host ?? recipe.serve?.host ?? '127.0.0.1';
  const port = options.port ?? recipe.serve?.port ?? 8000;
  const server = createServer({
    nowSeconds: () => Math.floor(context.now() / 1000),
    runsDir: context.runsDir,
    pageDir: pageDir(),
    allowedHosts: [host],
    onError: (error, request) => context.stderr.write(`request ${request}: ${(error as Error).message}\n`),
  });
  return { server, listening: await startServer(server.app, { host, port }) };
}

async function serve(recipe: Recipe, front: Front, threads: number, context: CliContext): Promise<void> {
  const { dir } = findModelFolder(recipe.name, context);
  const slots = recipe.serve?.slots ?? 8;
  const engine = await startEngine({ dir, threads, precision: 'auto' }, { slots });
  try {
    front.server.attachEngine(engine, { id: recipe.name, created: Math.floor(context.now() / 1000) });
    const { url } = front.listening;
    context.print(`Serving ${recipe.name}: ${url} (page), ${url}/v1 (OpenAI’s API). Ctrl-C ends.`);
    await untilAborted(context.interrupted);
  } finally {
    await engine.close();
  }
}
