/** What a command may know of the world around it: folders, streams, clock, interruption. Only `cli` reads these. */
import { availableParallelism, homedir } from 'node:os';
import { join, resolve } from 'node:path';
import pc from 'picocolors';
import { type NpmOptions, type RemoteOptions, readNpmConfig } from '../storage/index.ts';
import { toJsonLine } from './json.ts';
import { readStorageOptions, silenceSdk } from './storage-options.ts';

/** Repeats of a signal within this time are one interruption: a terminal and npm may both deliver the same Ctrl-C. */
const REPEAT_MS = 1000;

export interface CliContext {
  readonly cwd: string;
  /** where runs live: `./runs` */
  readonly runsDir: string;
  /** downloads and prepared data shared by runs: `$DABAREX_HOME`, or ~/.cache/dabarex */
  readonly cacheDir: string;
  /** the user's npm settings, for `npm:` sources */
  readonly npm: NpmOptions;
  /** how object stores are reached; keys are found where AWS tools find them */
  readonly storage: RemoteOptions;
  /** default number of threads: what the machine offers */
  readonly threads: number;
  /** the user's C++ compiler, `$CXX` */
  readonly cxx: string | undefined;
  /** milliseconds since 1970 */
  readonly now: () => number;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  readonly colors: ReturnType<typeof pc.createColors>;
  /** aborted by the first Ctrl-C or SIGTERM after {@link watchInterrupts}: finish what must be finished, then return */
  readonly interrupted: AbortSignal;
  /** From now on the first signal aborts `interrupted` and a later one ends the process; without it a signal ends at once. */
  watchInterrupts(): void;
  /** Writes one line of result to standard output. */
  print(line?: string): void;
  /** Writes one object as a line of JSON to standard output, with keys as {@link toJsonLine} has them. */
  printJson(value: unknown): void;
}

/** The context of this process. */
export function createContext(): CliContext {
  const cwd = process.cwd();
  const controller = new AbortController();
  const home = process.env.DABAREX_HOME;
  silenceSdk(process.env);
  return {
    cwd,
    runsDir: join(cwd, 'runs'),
    cacheDir: home ? resolve(cwd, home) : join(homedir(), '.cache', 'dabarex'),
    npm: readNpmConfig({ env: process.env, homeDir: homedir(), cwd }),
    storage: readStorageOptions(process.env),
    threads: availableParallelism(),
    cxx: process.env.CXX,
    now: () => Date.now(),
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    colors: pc.createColors(process.stdout.isTTY === true && pc.isColorSupported),
    interrupted: controller.signal,
    watchInterrupts: () => watchSignals(controller),
    print: (line = '') => process.stdout.write(`${line}\n`),
    printJson: (value) => process.stdout.write(toJsonLine(value)),
  };
}

/**
 * Whether a command ended with `error` because the user interrupted it: it is, or is caused by, the reason of the interruption or
 * an AbortError. Whatever else goes wrong while work is being ended, a checkpoint that cannot be saved above all, is a failure.
 */
export function isInterruption(error: unknown, context: CliContext): boolean {
  const { aborted, reason } = context.interrupted;
  if (!aborted) return false;
  const seen = new Set<unknown>();
  for (let each = error; each instanceof Error && !seen.has(each); each = each.cause) {
    if (each === reason || each.name === 'AbortError') return true;
    seen.add(each);
  }
  return false;
}

function watchSignals(controller: AbortController): void {
  let first: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      first ??= Date.now();
      if (!controller.signal.aborted) controller.abort(new Error(`interrupted by ${signal}`));
      else if (Date.now() - first > REPEAT_MS) process.exit(130);
    });
  }
}
