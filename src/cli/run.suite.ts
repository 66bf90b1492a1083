/** The command line in tests: run in this process, with what it wrote. */
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import pc from 'picocolors';
import { type CliContext, createContext } from './context.ts';
import { toJsonLine } from './json.ts';
import { createProgram, runCommandLine } from './program.ts';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `dabarex ARGS`, without colours and without a terminal. */
export async function run(args: readonly string[], overrides: Partial<CliContext> = {}): Promise<Outcome> {
  const stdout = new Recorder();
  const stderr = new Recorder();
  const context: CliContext = {
    ...createContext(),
    stdout: stdout as unknown as NodeJS.WriteStream,
    stderr: stderr as unknown as NodeJS.WriteStream,
    colors: pc.createColors(false),
    print: (line = '') => stdout.write(`${line}\n`),
    printJson: (value) => stdout.write(toJsonLine(value)),
    ...overrides,
  };
  const code = await runCommandLine(args, context);
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** The words of every command that does something: `['model', 'info']`. */
export function commandPaths(): string[][] {
  const below = (command: Command): string[][] =>
    command.commands.length === 0
      ? [[command.name()]]
      : command.commands.flatMap((each) => below(each).map((path) => [command.name(), ...path]));
  return below(createProgram(createContext())).map((path) => path.slice(1));
}

class Recorder extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
