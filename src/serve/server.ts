/**
 * The HTTP front: OpenAI's API over a text generator that may come later than the server, so that the page of a run is
 * up while the model is still being trained. No CORS and, on a loopback address, no foreign Host header: a web page
 * from elsewhere cannot read what runs here. No authentication: keep it on loopback or put a proxy before it.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { DabarexError } from '../base/index.ts';
import type { TextGenerator } from '../infer/index.ts';
import { toApiError } from './api-error.ts';
import { answerChat } from './chat.ts';
import { answerCompletion } from './completions.ts';
import type { Exchange } from './exchange.ts';
import { registerPage } from './page.ts';
import { registerRunsApi } from './runs-api.ts';

const BODY_LIMIT_BYTES = 8 * 2 ** 20;
/** characters of a client's own words in an error */
const MAX_SHOWN = 100;
/** to send a request in; answers may take as long as they do */
const REQUEST_TIMEOUT_MS = 120_000;

/** Status, its words and a message, by Node's code. */
const BROKEN_HTTP: ReadonlyMap<string, readonly [number, string, string]> = new Map([
  [
    'ERR_HTTP_REQUEST_TIMEOUT',
    [408, 'Request Timeout', 'The request took too long to arrive. Send it again.'],
  ],
  ['HPE_HEADER_OVERFLOW', [431, 'Request Header Fields Too Large', 'The headers are too long. Send fewer.']],
]);

export interface ModelInfo {
  /** what clients put into `model` */
  readonly id: string;
  /** seconds since 1970 */
  readonly created: number;
}

export interface ServerOptions {
  /** seconds since 1970, for `created`; passed in as all clocks are */
  readonly nowSeconds: () => number;
  /** told of errors that a client sees only as one line */
  readonly onError?: (error: unknown, requestId: string) => void;
  /** the folder of all runs: adds the API the page reads */
  readonly runsDir?: string;
  /** the page's built files, served at `/` */
  readonly pageDir?: string;
  /** Host names taken over loopback besides `localhost` and addresses: those of a proxy on this machine; '*' takes all */
  readonly allowedHosts?: readonly string[];
}

export interface Server {
  readonly app: FastifyInstance;
  /** From now on requests are answered by `engine`; replaces an earlier one, which the caller closes. */
  attachEngine(engine: TextGenerator, model: ModelInfo): void;
}

/**
 * Makes the server; {@link startServer} makes it listen.
 * @example
 * const server = createServer({ nowSeconds });
 * server.attachEngine(engine, { id: 'quickstart', created: 0 });
 * const { url } = await startServer(server.app, { host: '127.0.0.1', port: 8000 });
 */
export function createServer(options: ServerOptions): Server {
  const app = Fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    frameworkErrors: (error, request, reply) => sendError(reply, error, request.id, options),
    clientErrorHandler: refuseBrokenHttp,
  });
  // A body of text is a client that forgot its header, and is told so.
  app.removeContentTypeParser('text/plain');
  const host = new ModelHost();
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    checkHost(request, options.allowedHosts ?? []);
  });
  app.setErrorHandler((error, request, reply) => sendError(reply, error, request.id, options));
  app.setNotFoundHandler((request) => {
    throw Object.assign(new Error(`Nothing answers ${request.method} ${request.url}.`), { statusCode: 404 });
  });
  addModelRoutes(app, host);
  if (options.runsDir !== undefined) registerRunsApi(app, { runsDir: options.runsDir });
  if (options.pageDir !== undefined) registerPage(app, { distDir: options.pageDir });
  const exchange = (request: FastifyRequest, reply: FastifyReply): Exchange => ({
    body: request.body,
    reply,
    signal: signalOf(reply),
    id: request.id.replaceAll('-', ''),
    created: options.nowSeconds(),
    seed: randomInt(2 ** 32),
    engine: () => host.engine(),
    checkModel: (name) => host.checkModel(name),
    onStreamError: (error) => report(error, request.id, options),
  });
  app.post('/v1/completions', (request, reply) => answerCompletion(exchange(request, reply)));
  app.post('/v1/chat/completions', (request, reply) => answerChat(exchange(request, reply)));
  return { app, attachEngine: (engine, model) => host.attach(engine, model) };
}

/** The engine and model that are served now, if any. */
class ModelHost {
  model: ModelInfo | undefined;
  private generator: TextGenerator | undefined;

  attach(generator: TextGenerator, model: ModelInfo): void {
    this.generator = generator;
    this.model = model;
  }

  engine(): TextGenerator {
    if (!this.generator) {
      throw new DabarexError(
        'model_not_ready',
        'No model is loaded yet; it is still being made. Try again later.',
      );
    }
    if (!this.generator.alive) {
      throw new DabarexError('engine_stopped', 'The engine has stopped. Start the server again.');
    }
    return this.generator;
  }

  checkModel(name: string | undefined): string {
    this.engine();
    const { id } = this.model!;
    if (name !== undefined && name !== id) throw unknownModel(name, this.model);
    return id;
  }
}

function addModelRoutes(app: FastifyInstance, host: ModelHost): void {
  const entry = ({ id, created }: ModelInfo) => ({
    id,
    object: 'model',
    created,
    owned_by: 'dabarex',
    root: id,
    parent: null,
    max_model_len: host.engine().info.contextLength,
  });
  app.get('/v1/models', () => ({ object: 'list', data: host.model ? [entry(host.model)] : [] }));
  app.get<{ Params: { '*': string } }>('/v1/models/*', (request) => {
    const id = request.params['*'];
    if (host.model?.id !== id) throw unknownModel(id, host.model);
    return entry(host.model);
  });
  app.get('/health', () => {
    host.engine();
    return { status: 'ok' };
  });
}

function unknownModel(given: string, served: ModelInfo | undefined): DabarexError {
  const name = given.length > MAX_SHOWN ? `${given.slice(0, MAX_SHOWN)}...` : given;
  const hint = served ? `This server has "${served.id}".` : 'This server has no model yet.';
  return new DabarexError('model_not_found', `There is no model "${name}" here. ${hint}`, {
    param: 'model',
    name,
  });
}

/** Why an answer is given up: nobody is there to read it, so it is nobody's error. */
class ClientGone extends Error {
  readonly statusCode = 499;
  override readonly message = 'The client went away before the answer was whole.';
}

/** Aborted when the connection closes before the answer is whole. */
function signalOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new ClientGone());
  });
  return controller.signal;
}

/**
 * Keeps a page whose name was made to point here (DNS rebinding) from reading this server over loopback. Who comes over
 * another address was let in by whoever made the server listen there.
 */
function checkHost(request: FastifyRequest, allowed: readonly string[]): void {
  const local = request.socket.localAddress ?? '127.0.0.1';
  if (!/^(::1|(::ffff:)?127\.)/.test(local)) return;
  const name = request.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  // An address cannot be rebound, only a name.
  const harmless = isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost');
  if (harmless || allowed.includes('*') || allowed.includes(name)) return;
  throw new DabarexError(
    'host_not_allowed',
    `This server answers to loopback names only, not to "${name}". Use http://localhost or the address.`,
    { host: name },
  );
}

/** Answers what is no HTTP, before there is a request: on the bare socket. */
function refuseBrokenHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const known = BROKEN_HTTP.get(error.code ?? '');
  const [statusCode, reason, message] = known ?? [
    400,
    'Bad Request',
    'The request is no HTTP that can be read.',
  ];
  const body = JSON.stringify(toApiError(Object.assign(new Error(message), { statusCode })).body);
  const head = `HTTP/1.1 ${statusCode} ${reason}\r\ncontent-type: application/json\r\nconnection: close`;
  socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function sendError(reply: FastifyReply, error: unknown, requestId: string, options: ServerOptions): void {
  const { status, headers, body } = toApiError(error);
  if (!(error instanceof DabarexError)) report(error, requestId, options);
  reply.code(status).headers(headers).send(body);
}

/** Tells whoever runs the server what only they can mend. */
function report(error: unknown, requestId: string, options: ServerOptions): void {
  if (toApiError(error).status >= 500) options.onError?.(error, requestId);
}
