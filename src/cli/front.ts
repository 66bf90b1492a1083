/**
 * The HTTP front seen from the command's thread. It runs in a thread of its own, because a step of training holds a thread
 * for a second and more. That thread listens before any work begins, and gets the model when there is one.
 */
import type { Worker } from 'node:worker_threads';
import { DabarexError, errorFromData, moduleBeside, spawnWorker } from '../base/index.ts';
import type { CliContext } from './context.ts';
import type { FromFront, FrontSettings, ModelToServe, ToFront } from './front-protocol.ts';

/** What a front that does not end by itself is given before its thread is ended. */
const CLOSE_TIMEOUT_MS = 5000;

export class Front {
  /** `http://127.0.0.1:8000` */
  readonly url: string;
  private readonly worker: Worker;
  private readonly context: CliContext;
  private readonly stopped: Promise<DabarexError>;
  private closing = false;

  private constructor(worker: Worker, url: string, stopped: Promise<DabarexError>, context: CliContext) {
    this.url = url;
    this.worker = worker;
    this.stopped = stopped;
    this.context = context;
    worker.on('message', (message: FromFront) => {
      if (message.type !== 'request_failed') return;
      context.stderr.write(`request ${message.request}: ${message.message}\n`);
    });
    stopped.then((error) => {
      if (!this.closing) context.stderr.write(`Warning: ${error.message}\n`);
    });
  }

  /** Starts the thread and waits until it listens. @throws port_in_use and what else keeps a server from listening */
  static async start(settings: FrontSettings, context: CliContext): Promise<Front> {
    const url = moduleBeside(import.meta.url, 'front-worker');
    const worker = spawnWorker(url, { workerData: settings, name: 'front' });
    const stopped = endOf(worker);
    try {
      const message = await answerOf(worker, 'listening', stopped);
      return new Front(worker, message.url, stopped, context);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /**
   * From now on requests for a model are answered by this one. Returns early when the command is interrupted.
   * @throws what loading the model throws; server_stopped
   */
  async serveModel(model: ModelToServe): Promise<void> {
    const answer = answerOf(this.worker, 'model_ready', this.stopped);
    this.send({ type: 'serve_model', model });
    await Promise.race([answer, untilAborted(this.context.interrupted)]);
  }

  /** Waits for the interruption of the command. @throws server_stopped when the thread ends before */
  async untilInterrupted(): Promise<void> {
    const error = await Promise.race([this.stopped, untilAborted(this.context.interrupted)]);
    if (error) throw error;
  }

  /** Ends answers at work, the engine and the thread; always returns. */
  async close(): Promise<void> {
    this.closing = true;
    this.send({ type: 'close' });
    const timer = setTimeout(() => void this.worker.terminate(), CLOSE_TIMEOUT_MS);
    await this.stopped;
    clearTimeout(timer);
  }

  private send(message: ToFront): void {
    this.worker.postMessage(message);
  }
}

/** Resolves when the thread has ended, with what to say of it. */
function endOf(worker: Worker): Promise<DabarexError> {
  return new Promise((resolve) => {
    let cause: Error | undefined;
    worker.on('error', (error) => {
      cause = error;
    });
    worker.once('exit', (code) => {
      const why = cause?.message ?? `code ${code}`;
      const message = `The thread of the page and the API has ended (${why}). Start the command again.`;
      resolve(new DabarexError('server_stopped', message, {}, { cause }));
    });
  });
}

/** The next message of a type, or the error that came in its place. */
async function answerOf<T extends FromFront['type']>(
  worker: Worker,
  type: T,
  stopped: Promise<DabarexError>,
): Promise<Extract<FromFront, { type: T }>> {
  let listener: (message: FromFront) => void = () => {};
  const answer = new Promise<Extract<FromFront, { type: T }>>((resolve, reject) => {
    listener = (message) => {
      if (message.type === type) resolve(message as Extract<FromFront, { type: T }>);
      else if (message.type === 'failed') reject(errorFromData(message.error));
    };
    worker.on('message', listener);
  });
  try {
    return await Promise.race([
      answer,
      stopped.then((error) => {
        throw error;
      }),
    ]);
  } finally {
    worker.off('message', listener);
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
