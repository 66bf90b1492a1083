/** A server that OpenAI's clients can talk to, and a client that does. Run: `npx tsx examples/06-serve.ts` */
import { codecOf, Engine } from 'dabarex/infer';
import { completeModelConfig, Generator, modelConfigSchema, Transformer } from 'dabarex/model';
import { createServer, startServer } from 'dabarex/serve';
import { createKernels } from 'dabarex/tensor';
import { trainChar } from 'dabarex/tokenizer';
import OpenAI from 'openai';

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
const engine = new Engine(new Generator(transformer), codecOf(tokenizer));

// The server may be up before there is a model: until then requests get 503 model_not_ready.
const nowSeconds = () => Math.floor(Date.now() / 1000);
const server = createServer({ nowSeconds });
const { url, close } = await startServer(server.app, { host: '127.0.0.1', port: 0 });
console.log(`health before: ${(await fetch(`${url}/health`)).status}`);
server.attachEngine(engine, { id: 'babble', created: nowSeconds() });
console.log(`health after: ${(await fetch(`${url}/health`)).status}`);

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const stream = await client.chat.completions.create({
  model: 'babble',
  messages: [{ role: 'user', content: 'hello' }],
  max_tokens: 40,
  seed: 1,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const { choices, usage } of stream) {
  process.stdout.write(choices[0]?.delta.content ?? '');
  if (usage) console.log(`\n${usage.prompt_tokens} tokens read, ${usage.completion_tokens} written`);
}

const missing = client.completions.create({ model: 'gpt', prompt: 'x' });
await missing.catch((error) => console.log(`${error.status} ${error.code}`));
await close();
engine.close();
