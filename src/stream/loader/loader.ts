/**
 * Batches read ahead in a thread of their own, so that a training step finds the next one ready. The thread holds the data
 * set and draws what it is told to; this side tells it what the next steps will want, a few steps ahead, with the mix that
 * is expected for each. When a step wants another mix than was expected, what was drawn beyond it is dropped and the
 * thread goes back; so the batches are those of the data set itself, to the bit. {@link BatchLoader.state} is where the data stands
 * after the last batch taken, not after those read ahead.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { assert, errorFromData, moduleBeside, spawnWorker } from '../../base/index.ts';
import type { Batch } from '../batch.ts';
import { type DataState, requireSameOrder } from '../data-state.ts';
import type { Mix } from '../places.ts';
import type { FromLoader, LoaderSettings, ToLoader } from './protocol.ts';

export interface BatchLoaderOptions extends LoaderSettings {
  /** of every batch */
  readonly numSequences: number;
  readonly sequenceLength: number;
  /** batches that a step takes under one mix; default 1 */
  readonly batchesPerStep?: number;
  /** steps that are read ahead; default 4 */
  readonly stepsAhead?: number;
}

/** A batch that the thread was told to draw. */
interface Draw {
  readonly id: number;
  readonly mix: Mix | undefined;
  result?: Extract<FromLoader, { type: 'batch' | 'draw_failed' }>;
}

const CLOSE_TIMEOUT_MS = 2000;

export class BatchLoader {
  private readonly options: BatchLoaderOptions & {
    readonly batchesPerStep: number;
    readonly stepsAhead: number;
  };
  private readonly worker: Worker;
  private readonly port: MessagePort;
  /** told to the thread and not taken, the next one first */
  private draws: Draw[] = [];
  private nextId = 0;
  private current: DataState;
  private mixOfStep: (steps: number) => Mix | undefined = () => undefined;
  private takenInStep = 0;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  private constructor(options: BatchLoaderOptions, worker: Worker, port: MessagePort, state: DataState) {
    this.options = { batchesPerStep: 1, stepsAhead: 4, ...options };
    this.worker = worker;
    this.port = port;
    this.current = state;
    port.on('message', (message: FromLoader) => this.receive(message));
    worker.on('error', (error) => this.fail(error));
    worker.on('exit', (code) => this.fail(new Error(`the loader's thread ended with code ${code}`)));
  }

  /**
   * Starts a thread and opens the data in it. Close it to end the thread.
   * @throws what the constructor of StreamingDataset throws, and its `checkMix` for one of `mixes`
   */
  static async open(options: BatchLoaderOptions): Promise<BatchLoader> {
    const { numSequences: _, batchesPerStep, stepsAhead, ...settings } = options;
    const { port1: port, port2 } = new MessageChannel();
    const worker = spawnWorker(moduleBeside(import.meta.url, 'reader-worker'), {
      workerData: { port: port2, settings } satisfies { port: MessagePort; settings: LoaderSettings },
      transferList: [port2],
      name: 'loader',
    });
    try {
      return new BatchLoader(options, worker, port, await untilOpen(worker, port));
    } catch (error) {
      port.close();
      await worker.terminate();
      throw error;
    }
  }

  /**
   * The mix of the step that begins, and of those after it as far as is known now.
   * @param ahead the mix of the step so many steps later
   */
  setMix(mix: Mix, ahead: (steps: number) => Mix = () => mix): void {
    this.mixOfStep = (steps) => (steps === 0 ? mix : ahead(steps));
    this.takenInStep = 0;
    const wrong = this.draws.findIndex((draw, i) => !isSameMix(draw.mix, this.expectedMix(i)));
    if (wrong >= 0) this.takeBack(this.draws[wrong]!.id);
    this.tellAhead();
  }

  /**
   * The next sequences of the run, in memory of their own; a promise where they are still being read, which
   * rejects with what the data set's `nextBatch` throws, at the batch that it concerns.
   */
  nextBatch(numSequences: number, sequenceLength: number): Batch | Promise<Batch> {
    const { options } = this;
    const isShape = numSequences === options.numSequences && sequenceLength === options.sequenceLength;
    assert(isShape, `a loader of batches of ${options.numSequences} x ${options.sequenceLength}`);
    this.tellAhead();
    this.drain();
    return this.draws[0]?.result?.type === 'batch' ? this.take() : this.untilTaken();
  }

  /** Where the data stands after the last batch taken; {@link restore} of it gives the same batches from here on. */
  state(): DataState {
    return this.current;
  }

  /** Continues where `state` was taken. @throws checkpoint_mismatch where it is of other data, or no place in it */
  restore(state: DataState): void {
    requireSameOrder(state, this.current);
    this.draws = [];
    this.current = state;
    this.failure = undefined;
    this.send({ type: 'restore', state });
  }

  /** Ends the thread; whoever waits for a batch gets an error. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    const exited = new Promise<void>((resolve) => this.worker.once('exit', () => resolve()));
    this.send({ type: 'close' });
    this.fail(new Error('the loader was closed'));
    this.draws = [];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    });
    await Promise.race([exited, late]);
    clearTimeout(timer);
    this.port.close();
    await this.worker.terminate();
  }

  /** The mix that the i-th batch from now on is expected to want. */
  private expectedMix(i: number): Mix | undefined {
    return this.mixOfStep(Math.floor((this.takenInStep + i) / this.options.batchesPerStep));
  }

  private tellAhead(): void {
    const { numSequences, sequenceLength, batchesPerStep, stepsAhead } = this.options;
    while (this.draws.length < batchesPerStep * stepsAhead) {
      const draw = { id: this.nextId++, mix: this.expectedMix(this.draws.length) };
      this.draws.push(draw);
      this.send({ type: 'draw', ...draw, numSequences, sequenceLength });
    }
  }

  private takeBack(id: number): void {
    this.draws = this.draws.filter((draw) => draw.id < id);
    this.send({ type: 'rewind', id });
  }

  private async untilTaken(): Promise<Batch> {
    while (!this.draws[0]?.result && !this.failure) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.take();
  }

  private take(): Batch {
    const { result } = this.draws[0] ?? {};
    if (result?.type === 'draw_failed') throw errorFromData(result.error);
    if (!result) throw this.failure!;
    this.draws.shift();
    this.takenInStep++;
    this.current = result.state;
    this.tellAhead();
    return result.batch;
  }

  /** Takes what has arrived while this thread was busy, without giving way to the event loop. */
  private drain(): void {
    for (let next = receiveMessageOnPort(this.port); next; next = receiveMessageOnPort(this.port)) {
      this.receive(next.message as FromLoader);
    }
  }

  private receive(message: FromLoader): void {
    if (message.type !== 'batch' && message.type !== 'draw_failed') return;
    const draw = this.draws.find(({ id }) => id === message.id);
    // One that was taken back while it was on its way.
    if (!draw) return;
    draw.result = message;
    this.wake?.();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake?.();
  }

  private send(message: ToLoader): void {
    this.port.postMessage(message);
  }
}

function untilOpen(worker: Worker, port: MessagePort): Promise<DataState> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number) =>
      reject(new Error(`the loader's thread ended with code ${code} at its start`));
    worker.once('error', reject);
    worker.once('exit', onExit);
    port.once('message', (message: FromLoader) => {
      worker.off('error', reject);
      worker.off('exit', onExit);
      if (message.type === 'open') resolve(message.state);
      else if (message.type === 'open_failed') reject(errorFromData(message.error));
    });
  });
}

function isSameMix(a: Mix | undefined, b: Mix | undefined): boolean {
  if (a === b || !a || !b) return a === b;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => a[name] === b[name]);
}
