/**
 * The inference engine: many requests, one model, one batched step after another. It steps itself while there is
 * work, in the thread it was made in, and gives way to that thread's events between steps.
 * What a request gets depends on its own text and parameters only, never on what else is in the batch.
 */
import { z } from 'zod';
import { DabarexError, parseConfig } from '../base/index.ts';
import { EventQueue } from './event-queue.ts';
import type { InferenceModel, KvCache, TextCodec } from './model.ts';
import { checkBias, maxNewTokens, promptIds } from './prompt.ts';
import type { EngineInfo, GenerateEvent, GenerateRequest, TextGenerator } from './request.ts';
import { Sampler } from './sampler.ts';
import { type Scheduled, Scheduler } from './scheduler.ts';
import { type EventSink, Sequence } from './sequence.ts';

export const engineConfigSchema = z.strictObject({
  /** sequences generated at once; each holds a cache of `contextLength` tokens */
  slots: z.int().min(1).max(1024).default(8),
  /** requests that wait for a slot at most; one more gets server_overloaded */
  maxQueue: z.int().min(0).default(128),
  /** tokens run in one step at most */
  tokenBudget: z.int().min(1).default(256),
  /** tokens of prompt and answer together; default: what the model was trained for */
  contextLength: z.int().min(1).optional(),
});

export type EngineConfig = z.infer<typeof engineConfigSchema>;

/**
 * @example
 * const engine = new Engine(model, codec, { slots: 4 });
 * for await (const event of engine.generate({ prompt: { text: 'Once upon' }, maxTokens: 32 })) {
 *   if (event.type === 'delta') process.stdout.write(event.text);
 * }
 */
export class Engine implements TextGenerator {
  readonly info: EngineInfo;
  private readonly model: InferenceModel;
  private readonly codec: TextCodec;
  private readonly cache: KvCache;
  private readonly scheduler: Scheduler;
  private readonly sampler: Sampler;
  private stepQueued = false;
  private stopped: DabarexError | undefined;

  /** @throws config_invalid, config_unknown_key */
  constructor(model: InferenceModel, codec: TextCodec, options: z.input<typeof engineConfigSchema> = {}) {
    const config = parseConfig(engineConfigSchema, options, 'engine options');
    const contextLength = Math.min(config.contextLength ?? model.maxSeqLen, model.maxSeqLen);
    this.model = model;
    this.codec = codec;
    this.cache = model.createCache(config.slots, contextLength);
    this.scheduler = new Scheduler(config);
    this.sampler = new Sampler(model.vocabSize);
    this.info = {
      vocabSize: model.vocabSize,
      contextLength,
      hasChatTemplate: codec.encodeChat !== undefined,
      maxRequests: config.slots + config.maxQueue,
    };
  }

  get alive(): boolean {
    return this.stopped === undefined;
  }

  /** Requests in a slot and requests waiting for one. */
  get load(): { running: number; waiting: number } {
    return { running: this.scheduler.numRunning, waiting: this.scheduler.numWaiting };
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncGenerator<GenerateEvent, void> {
    signal?.throwIfAborted();
    const queue = new EventQueue<GenerateEvent>();
    const cancel = this.submit(request, {
      event: (event) => {
        queue.push(event);
        if (event.type === 'finished') queue.end();
      },
      fail: (error) => queue.fail(error),
    });
    const abort = () => {
      cancel();
      queue.abort(signal?.reason);
    };
    signal?.addEventListener('abort', abort);
    try {
      yield* queue;
    } finally {
      signal?.removeEventListener('abort', abort);
      cancel();
    }
  }

  /**
   * Queues a request; its events go to `sink`, the first (`accepted`) before this returns.
   * @returns cancels it: no event comes after, and its slot is free
   * @throws context_length_exceeded, server_overloaded, request_invalid, engine_stopped
   */
  submit(request: GenerateRequest, sink: EventSink): () => void {
    if (this.stopped) throw this.stopped;
    const { contextLength, vocabSize } = this.info;
    checkBias(request.logitBias, vocabSize);
    const ids = promptIds(request.prompt, this.codec, { contextLength, vocabSize });
    const maxTokens = maxNewTokens(ids.length, request.maxTokens, contextLength);
    const sequence = new Sequence(request, ids, maxTokens, this.codec, sink);
    this.scheduler.add(sequence);
    const promptText = request.echo ? { promptText: this.decode(ids) } : {};
    sink.event({ type: 'accepted', promptTokens: ids.length, ...promptText });
    this.queueStep();
    return () => {
      sequence.finished = true;
      this.scheduler.remove(sequence);
    };
  }

  /** Ends every request with engine_stopped and takes no more. */
  close(): void {
    this.stop(new DabarexError('engine_stopped', 'The engine was closed. Start the server again.'));
  }

  private decode(ids: readonly number[]): string {
    return Buffer.concat(ids.map((id) => this.codec.tokenBytes(id))).toString('utf8');
  }

  private queueStep(): void {
    if (this.stepQueued || this.stopped) return;
    this.stepQueued = true;
    setImmediate(() => {
      this.stepQueued = false;
      if (this.step()) this.queueStep();
    });
  }

  /** Runs one batch. @returns whether there was anything to do */
  private step(): boolean {
    if (this.stopped) return false;
    const scheduled = this.scheduler.next();
    if (scheduled.length === 0) return false;
    try {
      this.run(scheduled);
    } catch (error) {
      const message = `The engine failed in a step: ${error instanceof Error ? error.message : String(error)}`;
      this.stop(
        new DabarexError('engine_stopped', `${message}. Start the server again.`, {}, { cause: error }),
      );
    }
    return true;
  }

  private run(scheduled: Scheduled[]): void {
    const { ids, slots, positions, logitRows } = rowsOf(scheduled);
    const logits = this.model.forward(this.cache, ids, slots, positions, logitRows);
    let row = 0;
    const nextRow = () => logits.subarray(row * this.info.vocabSize, ++row * this.info.vocabSize);
    for (const { sequence, start, count } of scheduled) {
      const scored = sequence.wantsPromptLogprobs ? start + count : start;
      const complete = sequence.pending === count;
      for (let position = start; position < scored - (complete ? 1 : 0); position++) {
        sequence.scorePrompt(position, nextRow());
      }
      sequence.computed += count;
      if (complete) this.advance(sequence, nextRow());
    }
  }

  private advance(sequence: Sequence, logits: Float32Array): void {
    if (sequence.finished) return;
    try {
      sequence.advance(logits, this.sampler);
    } catch (error) {
      sequence.finished = true;
      sequence.sink.fail(error);
    }
    if (sequence.finished) this.scheduler.remove(sequence);
  }

  private stop(reason: DabarexError): void {
    this.stopped ??= reason;
    for (const sequence of this.scheduler.all()) {
      this.scheduler.remove(sequence);
      sequence.sink.fail(this.stopped);
    }
  }
}

/** The step's rows side by side; logits of every sequence's last row, and of each prompt row to be scored. */
function rowsOf(scheduled: readonly Scheduled[]) {
  const total = scheduled.reduce((sum, { count }) => sum + count, 0);
  const ids = new Int32Array(total);
  const slots = new Int32Array(total);
  const positions = new Int32Array(total);
  const logitRows: number[] = [];
  let row = 0;
  for (const { sequence, start, count } of scheduled) {
    for (let i = 0; i < count; i++, row++) {
      ids[row] = sequence.tokens[start + i];
      slots[row] = sequence.slot;
      positions[row] = start + i;
      const last = start + i === sequence.tokens.length - 1;
      if (last || sequence.wantsPromptLogprobs) logitRows.push(row);
    }
  }
  return { ids, slots, positions, logitRows: Int32Array.from(logitRows) };
}
