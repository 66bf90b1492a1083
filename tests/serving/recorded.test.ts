/**
 * Our answers beside OpenAI's: every key of a recorded body is in ours with a value of the same type, and ours are valid
 * by OpenAI's own OpenAPI schema. The recordings are not part of the repository.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { MODEL, post, serve, toyEngine } from './harness.ts';

const folder = join(process.env.DABAREX_VECTORS ?? '../shared/vectors', 'openai');
const read = (name: string) => readFileSync(join(folder, name), 'utf8');
const lines = (name: string) =>
  read(name)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

const prompt = 'Invent a new holiday';
const messages = [{ role: 'user', content: prompt }];

/** What only OpenAI's service has: its tiers, its padding against traffic analysis, tokens of kinds we do not have. */
const THEIRS = /service_tier|system_fingerprint|obfuscation|annotations|_details/;

/** `path: type` of every value; arrays by their first element, null as whatever stands there. */
function shapeOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value))
    return [`${path}: array`, ...(value.length > 0 ? shapeOf(value[0], `${path}[]`) : [])];
  if (value === null || typeof value !== 'object')
    return [`${path}: ${value === null ? 'null' : typeof value}`];
  return Object.entries(value).flatMap(([key, each]) => shapeOf(each, `${path}.${key}`));
}

function expectShape(ours: object, theirs: object): void {
  const kept = shapeOf(theirs).filter((line) => !THEIRS.test(line));
  expect(shapeOf(ours)).toEqual(expect.arrayContaining(kept));
}

async function eventsOf(url: string, path: string, body: object) {
  const { text } = await post(url, path, JSON.stringify(body));
  const blocks = text.split('\n\n').map((block) => block.replace(/^data: /, ''));
  expect(blocks.slice(-2)).toEqual(['[DONE]', '']);
  return blocks.slice(0, -2).map((block) => JSON.parse(block));
}

const stream = { stream: true, stream_options: { include_usage: true } };

describe.skipIf(!existsSync(folder))(`recorded bodies (${folder})`, () => {
  it('of answers given whole', async () => {
    const { url } = await serve(toyEngine({ endLogit: 5 }));
    const chat = await post(url, '/v1/chat/completions', JSON.stringify({ messages }));
    expectShape(chat.json, JSON.parse(read('openai-text.json')));
    const text = await post(url, '/v1/completions', JSON.stringify({ prompt }));
    expectShape(text.json, JSON.parse(read('openai-completion-text.json')));
    const error = await post(url, '/v1/completions', '{}');
    const shape = (body: { error: object }) => Object.keys(body.error).sort();
    expect(shape(error.json)).toEqual(shape(JSON.parse(read('openai-error.1.json'))));
  });

  it('of streams: the first chunk, one between, the last with a reason, the usage', async () => {
    const { url } = await serve(toyEngine());
    for (const [path, file, body] of [
      ['/v1/chat/completions', 'openai-text.chunks.txt', { messages, max_tokens: 20, ...stream }],
      ['/v1/completions', 'openai-completion-text.chunks.txt', { prompt, max_tokens: 20, ...stream }],
    ] as const) {
      const ours = await eventsOf(url, path, body);
      const theirs = lines(file);
      for (const at of [0, 1, -2, -1]) expectShape(ours.at(at), theirs.at(at));
    }
  });
});

interface JsonSchema {
  [key: string]: unknown;
}

/**
 * A schema of the OpenAPI document as a zod schema. OpenAPI's `nullable` becomes a union with null, and what has
 * properties is said to be an object (zod checks properties of declared objects only).
 */
function schemaOf(all: Record<string, JsonSchema>, name: string): z.ZodType {
  const used: Record<string, JsonSchema> = {};
  const convert = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(convert);
    if (node === null || typeof node !== 'object') return node;
    const { nullable, $ref, ...rest } = node as JsonSchema;
    const plain: JsonSchema =
      typeof $ref === 'string'
        ? { $ref: `#/$defs/${include($ref.split('/').at(-1)!)}` }
        : Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, convert(value)]));
    if (Array.isArray(plain.required) && plain.properties) plain.type ??= 'object';
    return nullable === true ? { anyOf: [plain, { type: 'null' }] } : plain;
  };
  const include = (each: string): string => {
    if (used[each]) return each;
    used[each] = {};
    used[each] = convert(all[each]) as JsonSchema;
    return each;
  };
  include(name);
  return z.fromJSONSchema({ ...used[name], $defs: used } as never);
}

describe.skipIf(!existsSync(join(folder, 'openapi.yaml.gz')))('the OpenAPI schema', () => {
  let all: Record<string, JsonSchema>;
  beforeAll(() => {
    all = parse(gunzipSync(readFileSync(join(folder, 'openapi.yaml.gz'))).toString('utf8')).components
      .schemas;
  });
  const issues = (name: string, body: unknown) => schemaOf(all, name).safeParse(body).error?.issues;

  it('accepts our answers', async () => {
    const { url } = await serve(toyEngine());
    const get = async (path: string) => (await fetch(url + path)).json();
    const ask = async (path: string, body: object) => (await post(url, path, JSON.stringify(body))).json;
    const chat = { messages, max_tokens: 8, logprobs: true, top_logprobs: 2, n: 2 };
    const text = { prompt, max_tokens: 8, logprobs: 2, n: 2 };
    const answers: [string, unknown][] = [
      ['ListModelsResponse', await get('/v1/models')],
      ['Model', await get(`/v1/models/${MODEL}`)],
      ['CreateChatCompletionResponse', await ask('/v1/chat/completions', chat)],
      ['CreateCompletionResponse', await ask('/v1/completions', text)],
      ['ErrorResponse', await ask('/v1/completions', {})],
    ];
    for (const [name, body] of answers) expect([name, issues(name, body)]).toEqual([name, undefined]);
    const chunk = schemaOf(all, 'CreateChatCompletionStreamResponse');
    const chunks = await eventsOf(url, '/v1/chat/completions', { ...chat, ...stream });
    for (const each of chunks) expect(chunk.safeParse(each).error?.issues).toBeUndefined();
  });

  it('refuses what is none', async () => {
    const { url } = await serve(toyEngine());
    const { json } = await post(url, '/v1/chat/completions', JSON.stringify({ messages, max_tokens: 2 }));
    const { logprobs: _, ...choice } = json.choices[0];
    expect(issues('Model', { id: 'x' })).toBeDefined();
    expect(issues('CreateChatCompletionResponse', { ...json, choices: [choice] })).toBeDefined();
    expect(issues('CreateChatCompletionResponse', { ...json, object: 'chat' })).toBeDefined();
  });
});
