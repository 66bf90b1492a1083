/** `dabarex up`: everything, from text to a served model, continuing where an earlier call stopped. */
import { join } from 'node:path';
import { Command } from 'commander';
import { findCheckpoint } from '../../checkpoint/index.ts';
import { RunDirectory } from '../../runs/index.ts';
import { serveConfigSchema } from '../../serve/index.ts';
import type { CliContext } from '../context.ts';
import { Front } from '../front.ts';
import { examples } from '../help.ts';
import { addSetOption } from '../overrides.ts';
import { loadRecipe, type Recipe } from '../recipe.ts';
import { portNumber, positive } from '../sampling.ts';
import { type RunSession, withRun } from '../session.ts';
import { prepareTokenData, type TokenData } from '../stages/data.ts';
import { type Evaluation, evaluateRun, evaluationTable, finishedEvaluation } from '../stages/evaluation.ts';
import { trainModel } from '../stages/training.ts';

interface UpOptions {
  readonly serve: boolean;
  readonly host?: string;
  readonly port?: number;
  readonly threads?: number;
  readonly json?: boolean;
  readonly set?: string[];
}

const JSON_HELP = `
With --json standard output is one JSON object a line, with the keys of events.jsonl; progress stays on standard error:
  {"type":"listening","url":...}                  the page and /v1 are there, the model is not
  {"type":"stage_completed","stage":...,"seconds":...}   for each stage that had something to do
  {"type":"evaluation","domains":{NAME:{"bits_per_byte":...,"loss_nats":...}}}
  {"type":"run_completed","run":...}              the run directory; the last line with --no-serve
  {"type":"serving","url":...,"model":...,"dir":...}     requests are answered from now on
An error is {"error":{"code":...,"message":...}} on standard error, and the exit code is not 0.
`;

/** @returns the command `up` */
export function upCommand(context: CliContext): Command {
  const command = new Command('up')
    .description('prepare text, train tokenizer and model, evaluate and serve: all of a recipe')
    .argument('<recipe>', 'a recipe file, or the name of a recipe that comes with dabarex')
    .option('--no-serve', 'end after the evaluation')
    .option('--host <address>', 'beyond loopback there is no authentication; default: the recipe’s')
    .option('--port <n>', '0 takes any free port; default: the recipe’s', portNumber)
    .option('--threads <n>', 'default: all the machine offers', positive)
    .option('--json', 'for scripts: a JSON object for each stage that ends, and the address')
    .addHelpText(
      'after',
      examples([
        ['dabarex up quickstart', 'the page is up at once, the model when it is trained'],
        ['dabarex up quickstart --no-serve', 'for a script: ends with the table of the evaluation'],
        ['dabarex up quickstart --set name=long --set train.duration=8Mtok', 'a longer run beside it'],
      ]) + JSON_HELP,
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
    if (front) tell(options, context, { type: 'listening', url: front.url }, `${recipe.name}: ${front.url}`);
    await withRun(recipe, threads, context, (session) => makeModel(session, options));
    context.interrupted.throwIfAborted();
    if (front) await serve(recipe, front, threads, options, context);
  } finally {
    await front?.close();
  }
}

/** Text to evaluated model, each stage skipped that is done. */
async function makeModel(session: RunSession, { json }: UpOptions): Promise<void> {
  const { context } = session;
  if (json) {
    session.run.onEvent((event) => {
      if (event.type === 'stage_completed') context.printJson(event);
      if (event.type === 'run_completed') context.printJson({ ...event, run: session.run.path });
    });
  }
  const data = await prepareTokenData(session);
  const results = finishedEvaluation(session, data) ?? (await trainAndEvaluate(session, data));
  if (!results) return;
  if (json) {
    context.printJson({ type: 'evaluation', domains: results });
    return;
  }
  session.log('');
  context.print(evaluationTable(results, session.recipe.tokenizer?.kind));
  context.print(`\nRun: ${session.run.path}`);
}

/** Undefined when training was interrupted. */
async function trainAndEvaluate(session: RunSession, data: TokenData): Promise<Evaluation | undefined> {
  const { model, step, outcome } = await trainModel(session, data);
  return outcome === 'interrupted' ? undefined : evaluateRun(session, model, data, step);
}

function tell({ json }: UpOptions, context: CliContext, event: object, text: string): void {
  if (json) context.printJson(event);
  else context.print(text);
}

/** The page from the first moment, before there is a model. @throws as {@link Front.start} */
function openFront(recipe: Recipe, options: UpOptions, context: CliContext): Promise<Front> {
  const config = serveConfigSchema.parse(recipe.serve ?? {});
  const { host = config.host, port = config.port } = options;
  return Front.start({ host, port, runsDir: context.runsDir }, context);
}

/** Serves the run's model until Ctrl-C; the run is `serving` from when it answers, and `completed` again after. */
async function serve(
  recipe: Recipe,
  front: Front,
  threads: number,
  options: UpOptions,
  context: CliContext,
): Promise<void> {
  const { runsDir, now } = context;
  const { name } = recipe;
  const { slots, maxQueue, weights } = serveConfigSchema.parse(recipe.serve ?? {});
  const { dir } = findCheckpoint(join(runsDir, name));
  await front.serveModel({
    id: name,
    loader: { dir, threads, precision: 'auto', weights },
    engine: { slots, maxQueue },
  });
  context.interrupted.throwIfAborted();
  const plain = JSON.parse(JSON.stringify(recipe));
  const run = RunDirectory.open({ runsDir, name, recipe: plain, now });
  const started = now();
  const recordEnd = () =>
    run.appendEvent({ type: 'stage_completed', stage: 'serve', seconds: (now() - started) / 1000 });
  try {
    run.appendEvent({ type: 'stage_started', stage: 'serve' });
    const { url } = front;
    const text = `Serving ${name}: ${url} (page), ${url}/v1 (OpenAI’s API). Ctrl-C ends.`;
    tell(options, context, { type: 'serving', url, model: name, dir }, text);
    await recordedAfter(front.untilInterrupted(), recordEnd);
  } finally {
    run.close();
  }
}

/** Waits for `work` and records its end; where both fail, the error of `work` is the one told. */
async function recordedAfter(work: Promise<void>, recordEnd: () => void): Promise<void> {
  try {
    await work;
  } catch (error) {
    try {
      recordEnd();
    } catch {
      // The first failure is told.
    }
    throw error;
  }
  recordEnd();
}
