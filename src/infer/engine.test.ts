import { describe, expect, it } from 'vitest';
import { byteCodec, END_OF_TEXT, ToyModel, type ToyOptions } from '../../tests/serving/toy-model.ts';
import { Engine, type EngineConfig } from './engine.ts';
import type { GenerateEvent, GenerateRequest, TextGenerator, TokenLogprob } from './request.ts';

const engineOf = (model: ToyOptions = {}, options: Partial<EngineConfig> = {}) =>
  new Engine(new ToyModel(model), byteCodec(), options);

async function run(engine: TextGenerator, request: GenerateRequest, signal?: AbortSignal) {
  const events: GenerateEvent[] = [];
  for await (const event of engine.generate(request, signal)) events.push(event);
  const last = events.at(-1)!;
  if (last.type !== 'finished') throw new Error('the last event is `finished`');
  const text = events.map((event) => (event.type === 'delta' ? event.text : '')).join('');
  const logprobs = events.flatMap((event): readonly TokenLogprob[] =>
    event.type === 'delta' ? (event.logprobs ?? []) : [],
  );
  return { events, text, logprobs, reason: last.reason, usage: last.usage };
}

const requests = Array.from(
  { length: 12 },
  (_, i): GenerateRequest => ({
    prompt: { text: 'prompt '.repeat(1 + ((i * 5) % 12)) + i },
    maxTokens: 5 + ((i * 7) % 30),
    seed: i,
    temperature: i % 3 === 0 ? 0 : 1,
    topP: 0.9,
  }),
);

describe('Engine', () => {
  it('gives each request the same text alone and in a batch, whatever the slots and the budget', async () => {
    const alone: string[] = [];
    for (const request of requests)
      alone.push((await run(engineOf({}, { slots: 1, tokenBudget: 512 }), request)).text);
    for (const [slots, tokenBudget] of [
      [1, 3],
      [3, 16],
      [8, 40],
      [12, 1],
    ]) {
      const engine = engineOf({}, { slots, tokenBudget });
      const together = await Promise.all(requests.map((request) => run(engine, request)));
      expect(together.map(({ text }) => text)).toEqual(alone);
      expect(engine.load).toEqual({ running: 0, waiting: 0 });
    }
    expect(new Set(alone).size).toBe(requests.length);
  });

  it('keeps the budget, and goes on decoding while a long prompt is taken in', async () => {
    const model = new ToyModel({ maxSeqLen: 256 });
    const engine = new Engine(model, byteCodec(), { slots: 2, tokenBudget: 10 });
    const order: string[] = [];
    const note = async (name: string, request: GenerateRequest) => {
      for await (const event of engine.generate(request)) if (event.type === 'delta') order.push(name);
    };
    await Promise.all([
      note('short', { prompt: { text: 'a' }, maxTokens: 40 }),
      note('long', { prompt: { text: 'b'.repeat(150) }, maxTokens: 2 }),
    ]);
    expect(Math.max(...model.steps)).toBe(10);
    expect(order.indexOf('long')).toBeGreaterThanOrEqual(15);
    expect(order.slice(0, 15)).toEqual(new Array(15).fill('short'));
  });

  it('ends at the end-of-text token, at a stop string and at maxTokens, and counts tokens', async () => {
    const end = await run(engineOf({ script: 'Hello' }), { prompt: { text: 'x' } });
    expect(end).toMatchObject({
      text: 'Hello',
      reason: 'stop',
      usage: { promptTokens: 1, completionTokens: 6 },
    });
    const stop = await run(engineOf({ script: 'one two three' }), {
      prompt: { text: 'x' },
      stop: [' th', 'nope'],
    });
    expect(stop).toMatchObject({ text: 'one two', reason: 'stop', usage: { completionTokens: 10 } });
    const full = await run(engineOf({ script: 'one two three' }), {
      prompt: { text: 'x' },
      maxTokens: 4,
      stop: [' t'],
    });
    expect(full).toMatchObject({ text: 'one ', reason: 'length', usage: { completionTokens: 4 } });
    const on = await run(engineOf({ script: 'ab' }), {
      prompt: { text: 'x' },
      maxTokens: 5,
      ignoreEndOfText: true,
    });
    expect(on).toMatchObject({ text: 'ab', reason: 'length', usage: { completionTokens: 5 } });
  });

  it('never sends a part of a character', async () => {
    const { events, text } = await run(engineOf({ script: 'né €uro 😀!' }), { prompt: { text: 'x' } });
    expect(text).toBe('né €uro 😀!');
    for (const event of events)
      if (event.type === 'delta') expect(event.text).not.toMatch(/\ufffd|\p{Surrogate}/u);
  });

  it('starts an empty prompt from the end-of-text token', async () => {
    const empty = await run(engineOf(), { prompt: { text: '' }, maxTokens: 8, temperature: 0 });
    const named = await run(engineOf(), { prompt: { ids: [END_OF_TEXT] }, maxTokens: 8, temperature: 0 });
    expect(empty.usage.promptTokens).toBe(1);
    expect(empty.text).toBe(named.text);
  });

  it('gives log-probabilities of the prompt and the answer that sum to one over the vocabulary', async () => {
    const request = {
      prompt: { text: 'hello' },
      maxTokens: 3,
      temperature: 0,
      logprobs: 259,
      promptLogprobs: true,
    };
    const whole = await run(engineOf(), request);
    const chunked = await run(engineOf({}, { tokenBudget: 2 }), request);
    expect(chunked.events).toEqual(whole.events);
    const prompt = whole.events.find((event) => event.type === 'prompt')!;
    expect([prompt.first, ...prompt.logprobs].map(({ text }) => text)).toEqual([...'hello']);
    expect(whole.logprobs.map(({ text }) => text).join('')).toBe(whole.text);
    for (const { top, logprob } of [...prompt.logprobs, ...whole.logprobs]) {
      expect(top.reduce((sum, each) => sum + Math.exp(each.logprob), 0)).toBeCloseTo(1, 9);
      expect(top.some((each) => each.logprob === logprob)).toBe(true);
    }
    for (const { top, id } of whole.logprobs) expect(top[0].id).toBe(id);
  });

  it('frees the place of a request that is aborted or left', async () => {
    const engine = engineOf({}, { slots: 1 });
    const abort = new AbortController();
    const running = run(engine, { prompt: { text: 'a' } }, abort.signal);
    const waiting = run(engine, { prompt: { text: 'b' }, maxTokens: 2 });
    setImmediate(() => abort.abort(new Error('enough')));
    await expect(running).rejects.toThrow('enough');
    expect((await waiting).usage.completionTokens).toBe(2);
    for await (const event of engine.generate({ prompt: { text: 'c' } })) if (event.type === 'delta') break;
    expect(engine.load).toEqual({ running: 0, waiting: 0 });
  });

  it('refuses what does not fit, by code', async () => {
    const engine = engineOf({ maxSeqLen: 16 }, { slots: 1, maxQueue: 1 });
    const code = (request: GenerateRequest) =>
      run(engine, request).then(
        () => 'done',
        (error) => error.code,
      );
    expect(await code({ prompt: { text: 'x'.repeat(17) } })).toBe('context_length_exceeded');
    expect(await code({ prompt: { text: 'x'.repeat(16) } })).toBe('context_length_exceeded');
    expect(await code({ prompt: { text: 'x'.repeat(1e6) } })).toBe('context_length_exceeded');
    expect(await code({ prompt: { messages: [{ role: 'user', content: 'long '.repeat(9) }] } })).toBe(
      'context_length_exceeded',
    );
    for (const id of [259, -1, 0.5]) expect(await code({ prompt: { ids: [id] } })).toBe('request_invalid');
    expect(await code({ prompt: { text: 'x' }, logitBias: [[259, 1]] })).toBe('request_invalid');
    expect(
      (await run(engine, { prompt: { text: 'x'.repeat(10) }, maxTokens: 99 })).usage.completionTokens,
    ).toBe(6);
    const three = [1, 2, 3].map(() => code({ prompt: { text: 'x' } }));
    expect(await Promise.all(three)).toEqual(['done', 'done', 'server_overloaded']);
  });

  it('reports a model that gives NaN or throws', async () => {
    await expect(run(engineOf({ nan: true }), { prompt: { text: 'x' } })).rejects.toMatchObject({
      code: 'logits_not_finite',
    });
    const broken = engineOf({ failAt: 5 });
    await expect(run(broken, { prompt: { text: 'x' } })).rejects.toMatchObject({ code: 'engine_stopped' });
    expect(broken.alive).toBe(false);
    await expect(run(broken, { prompt: { text: 'x' } })).rejects.toMatchObject({ code: 'engine_stopped' });
  });
});
