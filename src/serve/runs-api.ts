/**
 * The HTTP API of run directories, read-only:
 *
 *     GET /api/runs                        the runs, the one touched last first
 *     GET /api/runs/NAME                   recipe, status, last metrics
 *     GET /api/runs/NAME/metrics?since=B   metrics from byte B on, and where to go on
 *     GET /api/runs/NAME/events?since=B    events from byte B on
 *     GET /api/runs/NAME/stream            the same as server-sent events, live
 */
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { DabarexError } from '../base/index.ts';
import {
  type EventsPage,
  isRunName,
  type JsonLines,
  type MetricsPage,
  type RunDetail,
  type RunListEntry,
  RunsReader,
  readEvents,
  readMetrics,
  readRecipe,
} from '../runs/index.ts';
import { parsePosition, streamRun } from './runs-stream.ts';

const PAGE_BYTES = 4 << 20;

export interface RunsApiOptions {
  /** the folder of all runs; need not exist yet */
  readonly runsDir: string;
}

interface RunRoute {
  Params: { name: string };
  Querystring: { since?: string; metrics?: string; events?: string };
}

/**
 * Adds the routes. Errors are answered as `{error: {code, message}}`: run_name_invalid with 400, run_missing with 404.
 */
export function registerRunsApi(app: FastifyInstance, { runsDir }: RunsApiOptions): void {
  const reader = new RunsReader();
  const open = (request: FastifyRequest<RunRoute>) => openRun(runsDir, request.params.name);
  app.register(async (api) => {
    api.setErrorHandler(sendError);
    api.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
    });
    api.get('/api/runs', (): RunListEntry[] => reader.list(runsDir).map(({ path: _, ...entry }) => entry));
    api.get<RunRoute>('/api/runs/:name', (request): RunDetail => {
      const { path, recipe } = open(request);
      const { name } = request.params;
      return { name, recipe, status: reader.status(path), lastMetrics: reader.lastMetrics(path) };
    });
    api.get<RunRoute>('/api/runs/:name/metrics', (request): MetricsPage => {
      const { values: metrics, ...place } = pageOf(open(request).path, request.query.since, readMetrics);
      return { metrics, ...place };
    });
    api.get<RunRoute>('/api/runs/:name/events', (request): EventsPage => {
      const { values: events, ...place } = pageOf(open(request).path, request.query.since, readEvents);
      return { events, ...place };
    });
    api.get<RunRoute>('/api/runs/:name/stream', (request, reply) => {
      const { path } = open(request);
      const { metrics, events } = request.query;
      const resumed = parsePosition(request.headers['last-event-id'] as string | undefined);
      const start = resumed ?? { metrics: byteOffset(metrics), events: byteOffset(events) };
      reply.header('content-type', 'text/event-stream; charset=utf-8').header('x-accel-buffering', 'no');
      return reply.send(streamRun(path, start, reader, closedSignal(reply)));
    });
  });
}

function openRun(runsDir: string, name: string) {
  if (!isRunName(name)) {
    const message = `"${name.slice(0, 100)}" is not the name of a run. GET /api/runs lists the runs there are.`;
    throw new DabarexError('run_name_invalid', message, { name });
  }
  const path = join(runsDir, name);
  return { path, recipe: readRecipe(path) };
}

/** What a file of a run holds from `since` on, or all of it where it has become shorter than that: `reset`. */
function pageOf<T>(
  path: string,
  since: string | undefined,
  read: (path: string, sinceByte: number, maxBytes: number) => JsonLines<T>,
): { values: T[]; next: number; reset: boolean } {
  const sinceByte = byteOffset(since);
  const first = read(path, sinceByte, PAGE_BYTES);
  const reset = first.nextByte < sinceByte;
  const { values, nextByte } = reset ? read(path, 0, PAGE_BYTES) : first;
  return { values, next: nextByte, reset };
}

/** Anything but a plain byte offset reads from the start. */
function byteOffset(text: string | undefined): number {
  return /^\d{1,15}$/.test(text ?? '') ? Number(text) : 0;
}

function closedSignal(reply: FastifyReply): AbortSignal {
  const closed = new AbortController();
  reply.raw.once('close', () => closed.abort());
  return closed.signal;
}

function sendError(error: unknown, _request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const statuses: Record<string, number> = { run_missing: 404, run_name_invalid: 400 };
  const status = error instanceof DabarexError ? statuses[error.code] : undefined;
  if (!(error instanceof DabarexError) || status === undefined) throw error;
  return reply.code(status).send({ error: { code: error.code, message: error.message } });
}
