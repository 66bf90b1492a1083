/** The engine's thread: loads the model, then answers requests. Events of one step travel in one message. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert, errorToData } from '../base/index.ts';
import { Engine } from './engine.ts';
import type { FromWorker, LoadModel, ToWorker, WorkerEvent, WorkerSettings } from './protocol.ts';

const port = parentPort;
assert(port, 'engine-worker runs in a worker thread');
const send = (message: FromWorker) => port.postMessage(message);

const outbox: WorkerEvent[] = [];
function post(event: WorkerEvent): void {
  if (outbox.push(event) === 1) queueMicrotask(() => send({ type: 'events', events: outbox.splice(0) }));
}

async function start(settings: WorkerSettings): Promise<void> {
  const { load } = (await import(settings.loader)) as { load: LoadModel };
  const { model, codec } = await load(settings.loaderOptions as never);
  const engine = new Engine(model, codec, settings.engine);
  const cancels = new Map<number, () => void>();
  port!.on('message', (message: ToWorker) => {
    if (message.type === 'generate') submit(engine, cancels, message);
    else cancel(cancels, message.id);
  });
  send({ type: 'ready', info: engine.info });
}

function submit(
  engine: Engine,
  cancels: Map<number, () => void>,
  { id, request }: Extract<ToWorker, { type: 'generate' }>,
): void {
  const fail = (error: unknown) => {
    cancels.delete(id);
    post({ id, error: errorToData(error) });
    // An engine that has failed never comes back: the thread ends, and whoever watches it sees that.
    if (!engine.alive) setImmediate(() => process.exit(1));
  };
  try {
    const stop = engine.submit(request, {
      event: (event) => {
        post({ id, event });
        if (event.type === 'finished') cancels.delete(id);
      },
      fail,
    });
    cancels.set(id, stop);
  } catch (error) {
    fail(error);
  }
}

function cancel(cancels: Map<number, () => void>, id: number): void {
  cancels.get(id)?.();
  cancels.delete(id);
}

start(workerData as WorkerSettings).catch((error: unknown) => {
  send({ type: 'load_failed', error: errorToData(error) });
});
