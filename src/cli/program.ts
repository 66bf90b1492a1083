/**
 * The frame of the command line: the list of commands, and how errors end a command.
 * Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { DabarexError, fileError } from '../base/index.ts';
import { chatCommand } from './commands/chat.ts';
import { convertModelCommand } from './commands/convert.ts';
import { dataCommand } from './commands/data.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evalCommand } from './commands/eval.ts';
import { generateCommand } from './commands/generate.ts';
import { modelCommand } from './commands/model.ts';
import { prepareCommand } from './commands/prepare.ts';
import { profileCommand } from './commands/profile.ts';
import { runsCommand } from './commands/runs.ts';
import { serveCommand } from './commands/serve.ts';
import { tokenizerCommand } from './commands/tokenizer.ts';
import { trainCommand } from './commands/train.ts';
import { upCommand } from './commands/up.ts';
import { type CliContext, isInterruption } from './context.ts';
import { warnOfReferenceKernels } from './engine.ts';
import { examples } from './help.ts';
import { toJsonLine } from './json.ts';

/** Makes one command; every file of commands/ exports one. Its action throws where the command fails. */
type CommandMaker = (context: CliContext) => Command;

const COMMANDS: readonly CommandMaker[] = [
  upCommand,
  prepareCommand,
  dataCommand,
  tokenizerCommand,
  trainCommand,
  evalCommand,
  generateCommand,
  chatCommand,
  serveCommand,
  convertModelCommand,
  modelCommand,
  profileCommand,
  doctorCommand,
  runsCommand,
];

/** Characters of an error's message that are shown. */
const MAX_MESSAGE = 4000;

/** Those that run a model, and so want native kernels. */
const RUN_MODELS = ['up', 'train', 'eval', 'generate', 'chat', 'serve'];

/** Runs the command `args` names (without node and script). @returns the exit code; never throws, never exits */
export async function runCommandLine(args: readonly string[], context: CliContext): Promise<number> {
  const program = createProgram(context, { quiet: args.includes('--json') });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return context.interrupted.aborted ? 130 : 0;
  } catch (error) {
    return reportError(error, args, context);
  }
}

/** All commands, unparsed. @param options.quiet true: wrong usage is not printed as text, since it is reported as JSON */
export function createProgram(context: CliContext, { quiet = false } = {}): Command {
  const program = new Command('dabarex')
    .description('From raw text to a served mixture-of-experts language model.')
    .version(packageVersion())
    .addHelpText(
      'after',
      examples([
        ['dabarex up quickstart', 'text, tokenizer, training, evaluation, server'],
        ['dabarex model info dbrx-132b', 'parameters, memory and FLOPs of a model'],
        ['dabarex COMMAND --help', 'options and examples of one command'],
      ]),
    );
  for (const make of COMMANDS) program.addCommand(make(context));
  program.hook('preAction', (_, command) => {
    if (command.parent === program && RUN_MODELS.includes(command.name())) warnOfReferenceKernels(context);
  });
  everyCommand(program, (command) => {
    command.exitOverride().configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => quiet || context.stderr.write(text),
    });
    if (command.commands.length === 0) command.option('--debug', 'show the stack of an error');
  });
  return program;
}

function everyCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const each of command.commands) everyCommand(each, visit);
}

function reportError(thrown: unknown, args: readonly string[], context: CliContext): number {
  if (thrown instanceof CommanderError) return reportUsage(thrown, args, context);
  if (isInterruption(thrown, context)) {
    context.stderr.write('Interrupted. The same command continues where it stopped.\n');
    return 130;
  }
  const error = fileError(thrown);
  const { red } = context.colors;
  const debug = args.includes('--debug');
  if (error instanceof DabarexError) {
    if (args.includes('--json')) {
      const { code, message, fields } = error;
      context.stderr.write(toJsonLine({ error: { code, message, fields } }));
    } else context.stderr.write(`${red(`error[${error.code}]`)}: ${printable(error.message)}\n`);
    if (debug) context.stderr.write(`${stackOf(error)}\n`);
    return error.code === 'usage_invalid' ? 2 : 1;
  }
  const message = error instanceof Error ? error.message : String(error);
  context.stderr.write(`${red('error')}: ${printable(message)}\n`);
  context.stderr.write(
    debug
      ? `${stackOf(error)}\n`
      : 'This is a fault of dabarex. Run again with --debug and report the stack.\n',
  );
  return 1;
}

/** Commander has printed the words, unless they are wanted as JSON; help that was asked for is no error. */
function reportUsage(error: CommanderError, args: readonly string[], context: CliContext): number {
  if (error.exitCode === 0) return 0;
  if (args.includes('--json')) {
    const text = error.code === 'commander.help' ? 'A command is missing.' : error.message;
    const message = `${text.replace(/^error: /, '').replaceAll('\n', ' ')} Options and examples: --help.`;
    const fields = { problem: error.code.replace(/^commander[.]/, '') };
    context.stderr.write(toJsonLine({ error: { code: 'usage_invalid', message, fields } }));
  }
  return 2;
}

/** Names of files and keys may hold what a terminal would obey; it is shown as `\\u001b`, and very long messages are cut. */
function printable(message: string): string {
  const text = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}...` : message;
  return text.replace(/\p{Cc}/gu, (each) =>
    each === '\n' ? each : `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const cause = error.cause ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? ''}${cause}`;
}

function packageVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
