/**
 * Server-sent events: `data: {json}` blocks, ended by `data: [DONE]`. The response pulls from the generator, so a slow
 * reader holds it up and a reader that leaves ends it. After the first byte the status is 200: an error is an event.
 */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { toApiError } from './api-error.ts';

export const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
} as const;

/** Answers with `chunks`, one event each. @param onError told of what broke the stream */
export function sendEvents(
  reply: FastifyReply,
  chunks: AsyncIterable<object>,
  onError: (error: unknown) => void,
): FastifyReply {
  const stream = Readable.from(eventBlocks(chunks, onError), { objectMode: false, highWaterMark: 4096 });
  return reply.headers(SSE_HEADERS).send(stream);
}

async function* eventBlocks(
  chunks: AsyncIterable<object>,
  onError: (error: unknown) => void,
): AsyncGenerator<string> {
  try {
    for await (const chunk of chunks) yield `data: ${JSON.stringify(chunk)}\n\n`;
  } catch (error) {
    onError(error);
    yield `data: ${JSON.stringify(toApiError(error).body)}\n\n`;
  }
  yield 'data: [DONE]\n\n';
}
