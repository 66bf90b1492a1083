/** A server on a free port with the real client; everything is closed after the test. */
import OpenAI from 'openai';
import { afterEach } from 'vitest';
import { Engine, EngineClient, type TextGenerator } from '../../src/infer/index.ts';
import { createServer, type Server, startServer } from '../../src/serve/index.ts';
import { byteCodec, ToyModel, type ToyOptions } from './toy-model.ts';

export const CREATED = 1_700_000_000;
export const MODEL = 'toy';

export interface Bench {
  readonly server: Server;
  readonly url: string;
  readonly client: OpenAI;
  readonly errors: unknown[];
}

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Serves `engine`; without one, a server whose model is still to come. */
export async function serve(engine?: TextGenerator): Promise<Bench> {
  const errors: unknown[] = [];
  const server = createServer({ nowSeconds: () => CREATED, onError: (error) => errors.push(error) });
  if (engine) server.attachEngine(engine, { id: MODEL, created: CREATED });
  const { url, close } = await startServer(server.app, { host: '127.0.0.1', port: 0 });
  open.push(close);
  const client = new OpenAI({ apiKey: 'none', baseURL: `${url}/v1`, maxRetries: 0 });
  return { server, url, client, errors };
}

/** An engine of the toy model in this thread. */
export function toyEngine(
  model: ToyOptions = {},
  options: ConstructorParameters<typeof Engine>[2] = {},
  chat = true,
) {
  return new Engine(new ToyModel(model), byteCodec(chat), options);
}

/** An engine of the toy model in a worker thread. */
export async function toyWorker(
  loaderOptions: ToyOptions & { refuse?: boolean } = {},
): Promise<EngineClient> {
  const loader = new URL('./toy-model.ts', import.meta.url);
  const client = await EngineClient.start({ loader, loaderOptions, engine: { slots: 4 } });
  open.push(() => client.close());
  return client;
}

export interface Answer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any shape, looked at by the tests
  readonly json: any;
}

/** POSTs `body` as it is; the status, headers and parsed answer. */
export async function post(
  url: string,
  path: string,
  body: string | Uint8Array,
  type = 'application/json',
): Promise<Answer> {
  const response = await fetch(url + path, { method: 'POST', body, headers: { 'content-type': type } });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text.startsWith('{') ? JSON.parse(text) : undefined,
  };
}
