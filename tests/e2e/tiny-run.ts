/**
 * A run so small that the whole of `dabarex up` takes seconds, and the real command line in a process of its own.
 * The text is made here: two domains with words of their own, so that the mix of a phase shows in the loss.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parse, stringify } from 'yaml';
import { Rng } from '../../src/base/index.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
// By its URL, since the command runs in another folder than the repository.
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const WORDS = {
  prose: ['the', 'river', 'runs', 'under', 'a', 'stone', 'bridge', 'and', 'sings', 'of', 'rain'],
  notes: ['let', 'sum', 'be', 'x', 'plus', 'y', 'then', 'divide', 'by', 'two', 'again'],
};

/** Keys of metrics.jsonl that a clock decides; everything else must repeat to the bit. */
export const TIMED = [
  'time',
  'tokens_per_second',
  'training_seconds',
  'loader_stall_fraction',
  'mfu',
  'eta_seconds',
];

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Any part of a recipe, laid over the tiny one. */
export type RecipeChange = Record<string, unknown>;

/** A folder in which dabarex is called: the texts, recipe files, runs/ and a cache of its own. */
export class Workplace {
  readonly dir = mkdtempSync(join(tmpdir(), 'dabarex-system-'));
  private readonly children = new Set<ChildProcess>();

  constructor() {
    for (const [domain, words] of Object.entries(WORDS)) {
      writeFileSync(join(this.dir, `${domain}.txt`), text(words, domain.length));
    }
  }

  /** Ends what still runs and removes the folder. */
  async close(): Promise<void> {
    for (const child of this.children) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Writes the tiny recipe with changes as NAME.yaml. @returns its path within the folder */
  recipe(name: string, change: RecipeChange = {}): string {
    writeFileSync(join(this.dir, `${name}.yaml`), stringify(merge({ ...tinyRecipe(), name }, change)));
    return `${name}.yaml`;
  }

  /** Writes a file into the folder. */
  write(name: string, content: Uint8Array | string): void {
    writeFileSync(join(this.dir, name), content);
  }

  /** A path in runs/NAME. */
  run(name: string, ...path: string[]): string {
    return join(this.dir, 'runs', name, ...path);
  }

  /** Where the prepared data of this folder's recipes is kept. */
  get dataDir(): string {
    return join(this.dir, 'cache', 'data');
  }

  /** Starts `dabarex ARGS`. */
  start(...args: string[]): RunningCommand {
    const child = spawn(process.execPath, ['--import', TSX, MAIN, ...args], {
      cwd: this.dir,
      env: { ...process.env, DABAREX_HOME: join(this.dir, 'cache') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
    return new RunningCommand(child);
  }

  /** Runs `dabarex ARGS` to its end. */
  call(...args: string[]): Promise<Outcome> {
    return this.start(...args).ended;
  }

  /** The lines of a run's events.jsonl or metrics.jsonl. */
  lines(name: string, file: 'events' | 'metrics'): Record<string, unknown>[] {
    const path = this.run(name, `${file}.jsonl`);
    if (!existsSync(path)) return [];
    const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    return whole.map((line) => JSON.parse(line));
  }

  /** The newest checkpoint's folder. */
  latest(name: string): string {
    const checkpoints = this.run(name, 'checkpoints');
    return join(checkpoints, readFileSync(join(checkpoints, 'latest'), 'utf8').trim());
  }
}

/** A dabarex that runs in another process. */
export class RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  stdout = '';
  stderr = '';

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      this.stdout += chunk;
    });
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    this.ended = once(child, 'close').then(([code, signal]) => ({
      code,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits until `condition` holds, looking every `everyMs`. @throws when the process ends first */
  async until(condition: () => unknown, everyMs = 5): Promise<void> {
    while (!condition()) {
      if (!this.isRunning) throw new Error(`ended too early: ${this.stderr}${this.stdout}`);
      await sleep(everyMs);
    }
  }

  kill(signal: NodeJS.Signals): Promise<Outcome> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** 40 steps of 4 sequences of 32 tokens; a log point every 2 and a checkpoint every 5; the mix changes after step 20. */
function tinyRecipe(): Record<string, unknown> {
  return parse(`
seed: 7
data:
  heldOut: { kind: tail, fraction: 0.1 }
  domains:
    prose: { sources: [{ url: "file:prose.txt" }] }
    notes: { sources: [{ url: "file:notes.txt" }] }
  curriculum:
    - { duration: 0.5dur, weights: { prose: 0.8, notes: 0.2 } }
    - { duration: rest, weights: { prose: 0.2, notes: 0.8 } }
tokenizer: { kind: bpe, vocabSize: 300 }
model:
  dModel: 32
  numLayers: 2
  numHeads: 4
  kvHeads: 2
  maxSeqLen: 64
  ffn: { hidden: 32, numExperts: 8, topK: 2 }
train:
  duration: 40step
  sequenceLength: 32
  batchSequences: 4
  microbatchSequences: 2
  logInterval: 2step
  evalInterval: 10step
  evalTokens: 512
  sampleInterval: 20step
  checkpointInterval: 5step
  prompts: ["the river"]
serve: { port: 0 }
`);
}

function text(words: readonly string[], seed: number): string {
  const rng = new Rng(seed);
  const sentence = () => Array.from({ length: 8 }, () => words[rng.below(words.length)]).join(' ');
  const paragraph = () => `${sentence()}, ${sentence()}.\n\n`;
  return Array.from({ length: 400 }, paragraph).join('');
}

function merge(base: unknown, change: unknown): unknown {
  if (!isMapping(base) || !isMapping(change)) return change;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined) delete merged[key];
    else merged[key] = merge(base[key], value);
  }
  return merged;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
