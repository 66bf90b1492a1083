/**
 * PyTorch as a peer: Debian's python3-torch (1.13) in a process of its own, which steps when asked and waits while others
 * do. Tuned as far as it goes, or the comparison would be worth nothing:
 * - OpenBLAS built for OpenMP: the one for plain threads fights with PyTorch's own over the cores;
 * - OPENBLAS_CORETYPE where there is AVX-512, which this OpenBLAS does not use unasked on AMD;
 * - malloc never gives memory back: otherwise every step maps its activations anew and pays for the page faults.
 * Where Debian's packages are missing and cannot be installed, there is no peer, and a line says so.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Precision } from '../../src/tensor/index.ts';
import type { Limit } from '../measure.ts';
import { LEARNING_RATE, type TrainingBench, WEIGHT_DECAY, WINDOW_MS } from '../training.ts';

/** Debian's own, whatever other Python comes first in the path. */
const PYTHON = '/usr/bin/python3';
const PACKAGES = ['python3-torch', 'libopenblas0-openmp'];
const OPENBLAS = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/openblas-openmp`;
const WARM_UP = 4;
/** how many times slower than f32 a precision may be to be worth measuring */
const HOPELESS = 5;

interface Step {
  readonly seconds: number;
  readonly loss: number;
}

/** The peer training on the same tokens as `training`, or null where PyTorch cannot be had. */
export async function startTorch(training: TrainingBench, threads: number): Promise<Torch | null> {
  const problem = hasTorch() ? null : install();
  if (problem) {
    console.error(`PyTorch is not compared: ${problem}`);
    return null;
  }
  const { config, rows } = training;
  const { dModel, numLayers, numHeads, vocabSize, maxSeqLen: length } = config;
  const torch = new Torch(threads, training);
  const { version } = await torch.ask<{ version: string }>(
    JSON.stringify({
      threads,
      shape: { dModel, numLayers, numHeads, vocabSize, length },
      tokens: [...rows.tokens],
      targets: [...rows.targets],
      learningRate: LEARNING_RATE,
      weightDecay: WEIGHT_DECAY,
    }),
  );
  torch.version = version;
  return torch;
}

export class Torch {
  version = '';
  readonly losses: Record<Precision, number[]> = { f32: [], bf16: [] };
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;
  private readonly sequences: number;
  /** tokens a sequence */
  private readonly length: number;

  constructor(threads: number, { tokens, config }: TrainingBench) {
    this.length = config.maxSeqLen;
    this.sequences = tokens / this.length;
    const script = join(import.meta.dirname, 'torch_gpt.py');
    const env = { ...process.env, ...tunedEnvironment(threads) };
    this.child = spawn(PYTHON, [script], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Sends a line and gives the answer to it. */
  async ask<T>(line: string): Promise<T> {
    this.child.stdin.write(`${line}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error('PyTorch ended; what it said stands above');
    return JSON.parse(value) as T;
  }

  /**
   * Its steps in either precision, after some that are not counted. The faster one is the peer. Without hardware for bf16
   * autocast takes minutes a step; two on one sequence show it, and are then all there is of it.
   */
  async peers(): Promise<Limit[]> {
    const name = `PyTorch ${this.version}`;
    const f32 = await this.warm('f32');
    await this.rate('bf16', 1);
    const tried = await this.rate('bf16', 1);
    const peers: Limit[] = [{ name: `${name}, f32`, rate: () => this.fastest('f32') }];
    if (tried * HOPELESS < f32) {
      return [...peers, { name: `${name}, bf16 autocast, one sequence`, rate: () => tried }];
    }
    await this.warm('bf16');
    return [...peers, { name: `${name}, bf16 autocast`, rate: () => this.fastest('bf16') }];
  }

  close(): void {
    this.child.stdin.end();
  }

  /** Steps until memory is touched and caches are filled. @returns the last one's rate */
  private async warm(precision: Precision): Promise<number> {
    let rate = 0;
    for (let step = 0; step < WARM_UP; step++) rate = await this.rate(precision);
    return rate;
  }

  /** As `rateOf` does for ours: the fastest step of a window. */
  private async fastest(precision: Precision): Promise<number> {
    const end = performance.now() + WINDOW_MS;
    let fastest = 0;
    do {
      fastest = Math.max(fastest, await this.rate(precision));
    } while (performance.now() < end);
    return fastest;
  }

  /** Tokens a second of one step, by its own clock. */
  private async rate(precision: Precision, sequences = this.sequences): Promise<number> {
    const { seconds, loss } = await this.ask<Step>(`${precision} ${sequences}`);
    this.losses[precision].push(loss);
    return (sequences * this.length) / seconds;
  }
}

function tunedEnvironment(threads: number): Record<string, string> {
  const paths = [OPENBLAS, process.env.LD_LIBRARY_PATH ?? ''].filter(Boolean);
  return {
    OMP_NUM_THREADS: String(threads),
    LD_LIBRARY_PATH: paths.join(':'),
    MALLOC_MMAP_MAX_: '0',
    MALLOC_TRIM_THRESHOLD_: '20000000000',
    MALLOC_TOP_PAD_: '1000000000',
    ...(/\bavx512bw\b/.test(cpuFlags()) ? { OPENBLAS_CORETYPE: 'SkylakeX' } : {}),
  };
}

function cpuFlags(): string {
  return existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
}

function hasTorch(): boolean {
  const script = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)';
  return existsSync(OPENBLAS) && spawnSync(PYTHON, ['-c', script]).status === 0;
}

/** @returns what stands in the way, or null */
function install(): string | null {
  if (process.getuid?.() !== 0) return `not root, so apt-get cannot install ${PACKAGES.join(' and ')}`;
  console.error(`Installing ${PACKAGES.join(' and ')} ...`);
  const apt = (...args: string[]) =>
    spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
  const command = ['install', '-y', '--no-install-recommends', ...PACKAGES];
  if (!apt(...command) && !(apt('update') && apt(...command))) return 'apt-get cannot install it here';
  return hasTorch() ? null : `${PYTHON} does not find it`;
}
