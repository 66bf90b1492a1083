/** An engine in a worker thread, seen from the thread that started it. */
import type { Worker } from 'node:worker_threads';
import { DabarexError, errorFromData, moduleBeside, spawnWorker } from '../base/index.ts';
import type { EngineConfig } from './engine.ts';
import { EventQueue } from './event-queue.ts';
import type { FromWorker, ToWorker, WorkerSettings } from './protocol.ts';
import type { EngineInfo, GenerateEvent, GenerateRequest, TextGenerator } from './request.ts';

export interface EngineClientOptions {
  /** a module that exports `load(options): Promise<{ model, codec }>` */
  readonly loader: URL;
  /** handed to `load`; plain data */
  readonly loaderOptions?: unknown;
  readonly engine?: Partial<EngineConfig>;
}

export class EngineClient implements TextGenerator {
  readonly info: EngineInfo;
  private readonly worker: Worker;
  private readonly pending = new Map<number, EventQueue<GenerateEvent>>();
  private stopped: DabarexError | undefined;
  private nextId = 0;

  private constructor(worker: Worker, info: EngineInfo) {
    this.worker = worker;
    this.info = info;
    worker.on('message', (message: FromWorker) => this.receive(message));
    worker.on('error', (error) => this.stop(`The engine's thread failed: ${error.message}.`));
    worker.on('exit', (code) => this.stop(`The engine's thread ended with code ${code}.`));
  }

  /**
   * Starts a thread and loads the model in it.
   * @throws what the loader throws; engine_stopped when the thread dies while loading
   */
  static async start(options: EngineClientOptions): Promise<EngineClient> {
    const settings: WorkerSettings = {
      loader: options.loader.href,
      loaderOptions: options.loaderOptions,
      engine: options.engine ?? {},
    };
    const url = moduleBeside(import.meta.url, 'engine-worker');
    const worker = spawnWorker(url, { workerData: settings, name: 'engine' });
    try {
      const info = await untilReady(worker);
      return new EngineClient(worker, info);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  get alive(): boolean {
    return this.stopped === undefined;
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncGenerator<GenerateEvent, void> {
    signal?.throwIfAborted();
    if (this.stopped) throw this.stopped;
    const id = this.nextId++;
    const queue = new EventQueue<GenerateEvent>();
    this.pending.set(id, queue);
    const cancel = () => {
      if (this.pending.delete(id) && !this.stopped) this.send({ type: 'cancel', id });
    };
    const abort = () => {
      cancel();
      queue.abort(signal?.reason);
    };
    signal?.addEventListener('abort', abort);
    try {
      this.send({ type: 'generate', id, request });
      yield* queue;
    } finally {
      signal?.removeEventListener('abort', abort);
      cancel();
    }
  }

  /** Ends the thread; pending requests fail with engine_stopped. */
  async close(): Promise<void> {
    this.stop('The engine was closed.');
    await this.worker.terminate();
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private receive(message: FromWorker): void {
    if (message.type !== 'events') return;
    for (const { id, event, error } of message.events) {
      const queue = this.pending.get(id);
      if (!queue) continue;
      if (event) queue.push(event);
      if (error) queue.fail(errorFromData(error));
      if (event?.type === 'finished') queue.end();
      if (error || event?.type === 'finished') this.pending.delete(id);
    }
  }

  private stop(what: string): void {
    this.stopped ??= new DabarexError('engine_stopped', `${what} Start the server again.`);
    for (const queue of this.pending.values()) queue.fail(this.stopped);
    this.pending.clear();
  }
}

function untilReady(worker: Worker): Promise<EngineInfo> {
  return new Promise((resolve, reject) => {
    const died = (what: string) => {
      reject(new DabarexError('engine_stopped', `The engine's thread ${what} while loading the model.`));
    };
    const onError = (error: Error) => died(`failed (${error.message})`);
    const onExit = (code: number) => died(`ended with code ${code}`);
    worker.once('error', onError);
    worker.once('exit', onExit);
    worker.once('message', (message: FromWorker) => {
      worker.off('error', onError);
      worker.off('exit', onExit);
      if (message.type === 'ready') resolve(message.info);
      else if (message.type === 'load_failed') reject(errorFromData(message.error));
    });
  });
}
