/** Text from a model: several requests in one batch, with a seed, a stop string and scores. Run: `npx tsx examples/05-generate.ts` */
import { codecOf, Engine } from 'dabarex/infer';
import { completeModelConfig, Generator, modelConfigSchema, Transformer } from 'dabarex/model';
import { createKernels } from 'dabarex/tensor';
import { trainChar } from 'dabarex/tokenizer';

// A model with random weights, so it babbles; `loadModel` brings one that was trained.
const tokenizer = trainChar(['abcdefghijklmnopqrstuvwxyz .']);
const shape = modelConfigSchema.parse({
  dModel: 32,
  numLayers: 2,
  numHeads: 2,
  maxSeqLen: 128,
  ffn: { hidden: 64, numExperts: 4, topK: 2 },
});
const config = completeModelConfig(shape, tokenizer.vocabSize);
const transformer = new Transformer(config, createKernels(), {
  precision: 'f32',
  trainable: false,
  seed: 1,
});
const engine = new Engine(new Generator(transformer), codecOf(tokenizer), { slots: 4 });

async function say(text: string, seed: number): Promise<string> {
  let answer = '';
  const request = { prompt: { text }, maxTokens: 40, temperature: 0.8, topP: 0.95, seed, stop: ['.'] };
  for await (const event of engine.generate(request)) {
    if (event.type === 'delta') answer += event.text;
    if (event.type === 'finished') answer += ` [${event.reason}, ${event.usage.completionTokens} tokens]`;
  }
  return answer;
}

// Requests that run at once share every step; each gets the text it would get alone.
const alone = await say('once upon a time', 1);
const together = await Promise.all([1, 2, 3].map((seed) => say('once upon a time', seed)));
for (const each of together) console.log(each);
console.log(`the same alone: ${together[0] === alone}`);

// How likely the model finds a text, token by token.
const score = { prompt: { text: 'hello' }, maxTokens: 0, logprobs: 0, promptLogprobs: true };
for await (const event of engine.generate(score)) {
  if (event.type !== 'prompt') continue;
  for (const { text, logprob } of event.logprobs) console.log(`${text} ${logprob.toFixed(3)}`);
}
