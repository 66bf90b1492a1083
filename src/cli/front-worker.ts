/**
 * The thread of the HTTP front: page, API of the runs, OpenAI's API. It reads what is on disk and asks the engine's
 * thread, so it answers whatever the command's own thread is busy with.
 */
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { assert, errorToData } from '../base/index.ts';
import type { EngineClient } from '../infer/index.ts';
import { createServer, type Listening, type Server, startServer } from '../serve/index.ts';
import { startEngine } from './engine.ts';
import type { FromFront, FrontSettings, ModelToServe, ToFront } from './front-protocol.ts';

const PAGE_DIR = fileURLToPath(new URL('../../dashboard/dist', import.meta.url));

const port = parentPort;
assert(port, 'front-worker runs in a worker thread');
const send = (message: FromFront) => port.postMessage(message);
const fail = (error: unknown) => send({ type: 'failed', error: errorToData(error) });
const nowSeconds = () => Math.floor(Date.now() / 1000);

async function start(settings: FrontSettings): Promise<void> {
  const server = createServer({
    nowSeconds,
    runsDir: settings.runsDir,
    pageDir: PAGE_DIR,
    allowedHosts: [settings.host],
    onError: (error, request) => send({ type: 'request_failed', request, message: (error as Error).message }),
  });
  const listening = await startServer(server.app, settings);
  takeOrders(server, listening);
  send({ type: 'listening', url: listening.url });
}

function takeOrders(server: Server, listening: Listening): void {
  let engine: EngineClient | undefined;
  const serveModel = async ({ id, loader, engine: config }: ModelToServe) => {
    engine = await startEngine(loader, config);
    server.attachEngine(engine, { id, created: nowSeconds() });
    send({ type: 'model_ready' });
  };
  const close = async () => {
    await engine?.close();
    await listening.close();
  };
  port!.on('message', (message: ToFront) => {
    if (message.type === 'serve_model') serveModel(message.model).catch(fail);
    // An engine that is still loading ends with this thread.
    else close().finally(() => process.exit());
  });
}

start(workerData as FrontSettings).catch(fail);
