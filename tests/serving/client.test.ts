/** The server through the real `openai` client, over the toy model. */
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { Engine, EngineClient } from '../../src/infer/index.ts';
import { CREATED, MODEL, serve, toyEngine, toyWorker } from './harness.ts';
import { byteCodec, ToyModel } from './toy-model.ts';

const messages = [{ role: 'user' as const, content: 'Hi' }];

describe('chat completions', () => {
  it('answers whole and in a stream with the same text for the same seed', async () => {
    const { client } = await serve(toyEngine({ endLogit: 2 }));
    const body = { model: MODEL, messages, seed: 5, max_tokens: 40 };
    const whole = await client.chat.completions.create(body);
    expect(whole).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: CREATED,
      model: MODEL,
      choices: [{ index: 0, message: { role: 'assistant', refusal: null }, logprobs: null }],
    });
    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(chunks[0].choices[0].delta).toMatchObject({ role: 'assistant', content: '' });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    const last = chunks.at(-1)!;
    expect(last.choices).toEqual([]);
    expect(last.usage).toEqual(whole.usage);
    expect(chunks.at(-2)!.choices[0]).toMatchObject({
      delta: {},
      finish_reason: whole.choices[0].finish_reason,
    });
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(
      whole.choices[0].message.content,
    );
  });

  it('takes parts of text, max_completion_tokens, n and stop', async () => {
    const { client } = await serve(toyEngine());
    const parts = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'Hi' }] }];
    const base = { model: MODEL, seed: 3, max_completion_tokens: 12 };
    const one = await client.chat.completions.create({ ...base, messages });
    const three = await client.chat.completions.create({ ...base, messages: parts, n: 3 });
    const texts = three.choices.map(({ message }) => message.content!);
    expect(texts[0]).toBe(one.choices[0].message.content);
    expect(new Set(texts).size).toBe(3);
    expect(three.usage).toMatchObject({ prompt_tokens: one.usage!.prompt_tokens, completion_tokens: 36 });
    const stop = texts[0].slice(4, 7);
    const stopped = await client.chat.completions.create({ ...base, messages, stop });
    expect(stopped.choices[0]).toMatchObject({
      message: { content: texts[0].slice(0, texts[0].indexOf(stop)) },
      finish_reason: 'stop',
    });
  });

  it('gives log-probabilities with as many alternatives as asked for', async () => {
    const { client } = await serve(toyEngine());
    const answer = await client.chat.completions.create({
      model: MODEL,
      messages,
      max_tokens: 5,
      temperature: 0,
      logprobs: true,
      top_logprobs: 3,
    });
    const { content } = answer.choices[0].logprobs!;
    expect(content!.map(({ token }) => token).join('')).toBe(answer.choices[0].message.content);
    for (const each of content!) {
      expect(each.top_logprobs).toHaveLength(3);
      expect(each.top_logprobs[0]).toMatchObject({
        token: each.token,
        logprob: each.logprob,
        bytes: each.bytes,
      });
    }
  });

  it('continues the text of the messages where the tokenizer has no chat template', async () => {
    const { client } = await serve(toyEngine({}, {}, false));
    const request = { model: MODEL, temperature: 0, max_tokens: 6 };
    const chat = await client.chat.completions.create({ ...request, messages });
    const text = await client.completions.create({ ...request, prompt: 'Hi' });
    expect(chat.choices[0].message.content).toBe(text.choices[0].text);
    expect(chat.usage).toEqual(text.usage);
  });
});

describe('completions', () => {
  it('takes every form of prompt, in order, 16 tokens by default', async () => {
    const { client } = await serve(toyEngine());
    const body = { model: MODEL, temperature: 0 };
    const one = await client.completions.create({ ...body, prompt: 'ab' });
    expect(one).toMatchObject({
      object: 'text_completion',
      usage: { prompt_tokens: 2, completion_tokens: 16 },
    });
    const ids = await client.completions.create({ ...body, prompt: [97, 98] });
    const many = await client.completions.create({ ...body, prompt: ['xyz', 'ab'], n: 2 });
    const manyIds = await client.completions.create({
      ...body,
      prompt: [
        [120, 121, 122],
        [97, 98],
      ],
    });
    expect(ids.choices[0].text).toBe(one.choices[0].text);
    expect(many.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(many.choices[3].text).toBe(one.choices[0].text);
    expect(many.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 64 });
    expect(manyIds.choices.map(({ text }) => text)).toEqual([many.choices[0].text, one.choices[0].text]);
  });

  it('streams the same text, echo and log-probabilities as it gives at once', async () => {
    const { client } = await serve(toyEngine());
    const body = { model: MODEL, prompt: ['né', 'b'], seed: 1, max_tokens: 6, echo: true, logprobs: 2 };
    const whole = await client.completions.create(body);
    const merged = whole.choices.map(() => ({ text: '', tokens: [] as string[], offsets: [] as number[] }));
    const stream = await client.completions.create({ ...body, stream: true });
    for await (const {
      choices: [choice],
    } of stream) {
      merged[choice.index].text += choice.text;
      merged[choice.index].tokens.push(...(choice.logprobs?.tokens ?? []));
      merged[choice.index].offsets.push(...(choice.logprobs?.text_offset ?? []));
    }
    const expected = whole.choices.map(({ text, logprobs }) => ({
      text,
      tokens: logprobs!.tokens,
      offsets: logprobs!.text_offset,
    }));
    expect(merged).toEqual(expected);
    expect(whole.choices[0].text.startsWith('né')).toBe(true);
    expect(whole.choices[0].logprobs!.tokens!.slice(0, 3)).toEqual(['n', 'bytes:\\xc3', 'bytes:\\xa9']);
  });

  it('scores a prompt as lm-eval asks for it: echo, one token more, the first without a score', async () => {
    const { client } = await serve(toyEngine());
    const {
      choices: [choice],
    } = await client.completions.create({
      model: MODEL,
      prompt: [[104, 105, 33]],
      max_tokens: 1,
      temperature: 0,
      logprobs: 1,
      echo: true,
      seed: 1234,
    });
    const { tokens, token_logprobs, top_logprobs } = choice.logprobs!;
    expect(tokens!.slice(0, 3)).toEqual(['h', 'i', '!']);
    expect([tokens!.length, token_logprobs!.length, top_logprobs!.length]).toEqual([4, 4, 4]);
    expect([token_logprobs![0], top_logprobs![0]]).toEqual([null, null]);
    expect(token_logprobs![3]).toBe(Math.max(...Object.values(top_logprobs![3])));
    const nothing = await client.completions.create({
      model: MODEL,
      prompt: 'hi!',
      max_tokens: 0,
      echo: true,
    });
    expect(nothing.choices[0]).toMatchObject({ text: 'hi!', finish_reason: 'length' });
    expect(nothing.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 0 });
  });

  it('gives a request the same text alone and among others', async () => {
    const { client } = await serve(toyEngine({}, { slots: 5, tokenBudget: 8 }));
    const ask = async (seed: number) =>
      (await client.completions.create({ model: MODEL, prompt: 'p'.repeat(seed + 1), seed, max_tokens: 20 }))
        .choices[0].text;
    const alone: string[] = [];
    for (let seed = 0; seed < 12; seed++) alone.push(await ask(seed));
    expect(await Promise.all(alone.map((_, seed) => ask(seed)))).toEqual(alone);
  });
});

describe('models and health', () => {
  it('lists the model, and nothing before there is one', async () => {
    const { client, server, url } = await serve();
    expect((await client.models.list()).data).toEqual([]);
    await expect(client.models.retrieve(MODEL)).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
    const before = await fetch(`${url}/health`);
    expect(before.status).toBe(503);
    const early = client.chat.completions.create({ model: MODEL, messages });
    await expect(early).rejects.toMatchObject({ status: 503, code: 'model_not_ready' });
    server.attachEngine(toyEngine(), { id: 'runs/toy', created: CREATED });
    const [model] = (await client.models.list()).data;
    expect(model).toEqual({
      id: 'runs/toy',
      object: 'model',
      created: CREATED,
      owned_by: 'dabarex',
      root: 'runs/toy',
      parent: null,
      max_model_len: 256,
    });
    expect(await client.models.retrieve('runs/toy')).toEqual(model);
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok' });
  });
});

describe('errors and leaving', () => {
  it('are what the client knows them as', async () => {
    const { client } = await serve(toyEngine({ maxSeqLen: 32 }, { slots: 1, maxQueue: 1 }));
    const ask = (body: object) => client.chat.completions.create({ model: MODEL, messages, ...body });
    await expect(ask({ model: 'gpt-5' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(ask({ model: 'gpt-5' })).rejects.toMatchObject({ code: 'model_not_found', param: 'model' });
    const long = ask({ messages: [{ role: 'user', content: 'long '.repeat(20) }], stream: true });
    await expect(long).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(long).rejects.toMatchObject({
      code: 'context_length_exceeded',
      type: 'invalid_request_error',
    });
    const error = await Promise.all([1, 2, 3].map(() => ask({}))).catch(
      (each: InstanceType<typeof OpenAI.APIError>) => each,
    );
    expect(error).toMatchObject({ status: 503, code: 'server_overloaded' });
    expect((error as InstanceType<typeof OpenAI.APIError>).headers!.get('retry-after')).toBe('1');
  });

  it('cancels when the client breaks off a stream or aborts a wait', async () => {
    const engine = toyEngine({ stepMs: 10 });
    const { client, errors } = await serve(engine);
    const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true });
    for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
    await expect.poll(() => engine.load).toEqual({ running: 0, waiting: 0 });
    const abort = new AbortController();
    const answer = client.completions.create(
      { model: MODEL, prompt: 'x', max_tokens: 200 },
      { signal: abort.signal },
    );
    await expect.poll(() => engine.load.running).toBe(1);
    abort.abort();
    await expect(answer).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await expect.poll(() => engine.load, { timeout: 1500 }).toEqual({ running: 0, waiting: 0 });
    expect(errors).toEqual([]);
  });
});

describe('one choice of several that fails', () => {
  it('ends the others', async () => {
    const model = new ToyModel({ nanAt: 30, stepMs: 2 });
    const engine = new Engine(model, byteCodec(), { slots: 2 });
    const { client } = await serve(engine);
    // The first gets to position 30 after a few tokens; the second begins behind it and would go on to the end.
    const body = { model: MODEL, prompt: ['x'.repeat(25), 'x'.repeat(40)], max_tokens: 200 };
    await expect(client.completions.create(body)).rejects.toMatchObject({ status: 500 });
    await expect.poll(() => engine.load).toEqual({ running: 0, waiting: 0 });
    expect(model.steps.length).toBeLessThan(60);
  });
});

describe('an engine in a worker thread', () => {
  it('answers as the one in this thread does', async () => {
    const { client } = await serve(await toyWorker());
    const { client: local } = await serve(toyEngine());
    const body = { model: MODEL, messages, seed: 2, max_tokens: 30 };
    const [there, here] = await Promise.all(
      [client, local].map((each) => each.chat.completions.create(body)),
    );
    expect(there.choices).toEqual(here.choices);
    const long = client.completions.create({ model: MODEL, prompt: 'x'.repeat(999) });
    await expect(long).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });

  it('fails pending requests when it dies, and health says so', async () => {
    const { client, url } = await serve(await toyWorker({ stepMs: 2, failAt: 40 }));
    const seen: string[] = [];
    const stream = await client.completions.create({
      model: MODEL,
      prompt: 'x',
      stream: true,
      max_tokens: 99,
    });
    const reading = (async () => {
      for await (const { choices } of stream) seen.push(choices[0].text);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'engine_stopped' });
    expect(seen.length).toBeGreaterThan(10);
    await expect.poll(async () => (await fetch(`${url}/health`)).status).toBe(503);
    const after = client.completions.create({ model: MODEL, prompt: 'x' });
    await expect(after).rejects.toMatchObject({ status: 503, code: 'engine_stopped' });
  });

  it('cancels there what is left here, and what was accepted of a request that is refused', async () => {
    const engine = await toyWorker({ stepMs: 10 });
    const { client } = await serve(engine);
    // Counts the steps of the engine, whatever the clock says.
    let steps = 0;
    const counting = new AbortController();
    const counter = (async () => {
      for await (const event of engine.generate({ prompt: { text: 'z' }, maxTokens: 240 })) {
        if (event.type === 'delta') steps++;
        if (counting.signal.aborted) break;
      }
    })();
    for (let i = 0; i < 4; i++) {
      const refused = client.completions.create({
        model: MODEL,
        prompt: ['x', 'long '.repeat(60)],
        max_tokens: 200,
      });
      await expect(refused).rejects.toMatchObject({ code: 'context_length_exceeded' });
    }
    const left = Array.from({ length: 4 }, async () => {
      for await (const event of engine.generate({ prompt: { text: 'x' } })) if (event.type === 'delta') break;
    });
    await Promise.all(left);
    const before = steps;
    for await (const event of engine.generate({ prompt: { text: 'y' }, maxTokens: 1 }))
      if (event.type === 'delta') break;
    // Eight abandoned answers of some 200 steps would hold every other slot as long.
    const waited = steps - before;
    expect(steps).toBeGreaterThan(0);
    expect(steps).toBeLessThan(240);
    counting.abort();
    await counter;
    expect(waited).toBeLessThan(100);
  });

  it('tells why it could not load', async () => {
    await expect(toyWorker({ refuse: true })).rejects.toThrow('the toy refuses to load');
    const loader = new URL('./no-such-module.ts', import.meta.url);
    await expect(EngineClient.start({ loader })).rejects.toThrow(/no-such-module/);
  });
});
