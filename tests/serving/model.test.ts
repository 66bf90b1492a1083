/**
 * The engine over a real model: a small mixture of experts with random weights, on the plain TypeScript kernels and, where
 * they are built, on the native ones. Random weights say nothing sensible, but every product, cache row and expert takes
 * part in what they say.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { codecOf, Engine, type GenerateRequest } from '../../src/infer/index.ts';
import { completeModelConfig, Generator, modelConfigSchema, Transformer } from '../../src/model/index.ts';
import { createKernels, nativeInstructionSets } from '../../src/tensor/index.ts';
import { trainBpe, trainChar } from '../../src/tokenizer/index.ts';
import { MODEL, serve } from './harness.ts';

const tokenizer = trainChar(['abcdefghijklmnopqrstuvwxyz .,é€😀\n']);
const shape = modelConfigSchema.parse({
  dModel: 32,
  numLayers: 2,
  numHeads: 2,
  kvHeads: 1,
  maxSeqLen: 96,
  ffn: { hidden: 32, numExperts: 4, topK: 2 },
});

const requests = Array.from(
  { length: 6 },
  (_, i): GenerateRequest => ({
    prompt: { text: 'the quick brown fox. '.repeat(3).slice(0, 1 + i * 9) },
    maxTokens: 12 + i,
    seed: i,
    temperature: i % 2,
  }),
);

const native = nativeInstructionSets().at(-1);
const engines = [
  { isa: 'reference', precision: 'f32' as const },
  ...(native
    ? [
        { isa: native, precision: 'f32' as const },
        { isa: native, precision: 'bf16' as const },
      ]
    : []),
];

describe.each(engines)('a small mixture of experts on $isa kernels in $precision', ({ isa, precision }) => {
  let model: Generator;
  beforeAll(() => {
    const config = completeModelConfig(shape, tokenizer.vocabSize);
    const options = { precision, trainable: false, seed: 7 };
    model = new Generator(new Transformer(config, createKernels({ isa, threads: 2 }), options));
  });

  async function textOf(engine: Engine, request: GenerateRequest): Promise<string> {
    let text = '';
    for await (const event of engine.generate(request)) if (event.type === 'delta') text += event.text;
    return text;
  }

  it('says the same alone, in a batch, and with its prompt in chunks', async () => {
    const alone: string[] = [];
    for (const request of requests)
      alone.push(await textOf(new Engine(model, codecOf(tokenizer), { slots: 1 }), request));
    for (const options of [{ slots: 6 }, { slots: 3, tokenBudget: 5 }]) {
      const engine = new Engine(model, codecOf(tokenizer), options);
      expect(await Promise.all(requests.map((request) => textOf(engine, request)))).toEqual(alone);
    }
    expect(new Set(alone).size).toBe(requests.length);
  });

  it('takes conversations through the tokenizer’s chat template, and refuses what the template cannot hold', async () => {
    const words = trainBpe({ texts: ['user assistant hello'], vocabSize: 270 });
    const config = completeModelConfig(shape, words.vocabSize);
    const options = { precision, trainable: false, seed: 7 };
    const chatty = new Generator(new Transformer(config, createKernels({ isa, threads: 2 }), options));
    const { client } = await serve(new Engine(chatty, codecOf(words)));
    const ask = (role: 'user' | 'developer') =>
      client.chat.completions.create({
        model: MODEL,
        max_tokens: 4,
        seed: 1,
        messages: [{ role, content: 'hello' }],
      });
    const rendered = '<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n';
    const ids = [...words.encode(rendered, { allowedSpecial: 'all' })];
    const plain = await client.completions.create({ model: MODEL, max_tokens: 4, seed: 1, prompt: ids });
    const answer = await ask('user');
    expect(answer.choices[0].message.content).toBe(plain.choices[0].text);
    expect(answer.usage!.prompt_tokens).toBe(ids.length);
    await expect(ask('developer')).rejects.toMatchObject({ status: 400, code: 'chat_invalid' });
  });

  it('scores a text the same when it writes it and when it reads it', async () => {
    const { client } = await serve(new Engine(model, codecOf(tokenizer)));
    const ask = { model: MODEL, seed: 3, logprobs: 1 };
    const written = (await client.completions.create({ ...ask, prompt: 'the fox ', max_tokens: 20 }))
      .choices[0];
    const prompt = `the fox ${written.text}`;
    const read = (await client.completions.create({ ...ask, prompt, max_tokens: 0, echo: true })).choices[0];
    expect(read.text).toBe(prompt);
    expect(read.logprobs!.token_logprobs!.slice(8)).toEqual(written.logprobs!.token_logprobs);
  });
});
