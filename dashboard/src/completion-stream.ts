/** A streamed request to the OpenAI-compatible endpoint: server-sent events read from a fetch. */

export interface ChatTurn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** The text to continue, or the conversation to answer. */
export type GenerationInput = string | readonly ChatTurn[];

export interface GenerationRequest<T extends GenerationInput = GenerationInput> {
  readonly model: string;
  readonly input: T;
  readonly temperature: number;
  readonly maxTokens: number;
  /** undefined lets the server pick one */
  readonly seed: number | undefined;
}

export type GenerationEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'finished'; readonly reason: string }
  | { readonly type: 'usage'; readonly completionTokens: number; readonly totalTokens: number };

/** The server's error, with its code. */
export class Refusal extends Error {
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

interface Chunk {
  readonly choices?: readonly {
    readonly text?: string;
    readonly delta?: { readonly content?: string | null };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly completion_tokens: number; readonly total_tokens: number } | null;
  readonly error?: { readonly message: string; readonly code?: string };
}

/** The events of one generation; throws a {@link Refusal} with the server's message where it refuses. */
export async function* generate(
  request: GenerationRequest,
  signal: AbortSignal,
): AsyncGenerator<GenerationEvent> {
  const { model, input, temperature, maxTokens, seed } = request;
  const isText = typeof input === 'string';
  const reply = await fetch(isText ? '/v1/completions' : '/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      ...(isText ? { prompt: input } : { messages: input }),
      temperature,
      max_tokens: maxTokens,
      seed,
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal,
  });
  if (!reply.ok || !reply.body) throw await refusalOf(reply);
  for await (const data of eventData(reply.body)) {
    if (data === '[DONE]') return;
    yield* eventsOf(JSON.parse(data) as Chunk);
  }
}

function* eventsOf(chunk: Chunk): Generator<GenerationEvent> {
  if (chunk.error) throw new Refusal(chunk.error.message, chunk.error.code);
  const choice = chunk.choices?.[0];
  const text = choice?.text ?? choice?.delta?.content ?? '';
  if (text !== '') yield { type: 'text', text };
  if (choice?.finish_reason) yield { type: 'finished', reason: choice.finish_reason };
  if (!chunk.usage) return;
  const { completion_tokens: completionTokens, total_tokens: totalTokens } = chunk.usage;
  yield { type: 'usage', completionTokens, totalTokens };
}

/** The `data:` of each event of a stream. */
async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let buffer = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += decoder.decode(value, { stream: true });
      const blocks = buffer.split(/\r?\n\r?\n/);
      buffer = blocks.pop() ?? '';
      for (const block of blocks) {
        const lines = block.split(/\r?\n/).filter((line) => line.startsWith('data:'));
        if (lines.length > 0) yield lines.map((line) => line.slice(5).trimStart()).join('\n');
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function refusalOf(reply: Response): Promise<Refusal> {
  const text = await reply.text();
  try {
    const { error } = JSON.parse(text) as Required<Chunk>;
    return new Refusal(error.message, error.code);
  } catch {
    return new Refusal(`The server answered with HTTP ${reply.status}.`, undefined);
  }
}
