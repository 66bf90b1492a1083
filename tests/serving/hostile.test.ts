/** Requests that are wrong on purpose: each gets an error in OpenAI's shape that is the caller's, and the server goes on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { createServer, startServer } from '../../src/serve/index.ts';
import { MODEL, post, serve, toyEngine } from './harness.ts';

const CHAT = '/v1/chat/completions';
const TEXT = '/v1/completions';
const messages = [{ role: 'user', content: 'Hi' }];

const wrong: [name: string, path: string, body: unknown, param: string | null][] = [
  ['no messages', CHAT, {}, 'messages'],
  ['empty messages', CHAT, { messages: [] }, 'messages'],
  ['a role nobody has', CHAT, { messages: [{ role: 'king', content: 'x' }] }, 'messages.0.role'],
  [
    'an image',
    CHAT,
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
    'messages.0.content',
  ],
  ['half a character', TEXT, { prompt: '\ud83d' }, 'prompt'],
  ['half a character to stop at', TEXT, { prompt: 'x', stop: '\ud83d' }, 'stop'],
  ['no prompt', TEXT, { max_tokens: 1 }, 'prompt'],
  ['an empty list of prompts', TEXT, { prompt: [] }, 'prompt'],
  ['a prompt of fractions', TEXT, { prompt: [1.5] }, 'prompt'],
  ['ids past the vocabulary', TEXT, { prompt: [259] }, 'prompt'],
  ['a mixed prompt', TEXT, { prompt: ['x', [1]] }, 'prompt'],
  ['too hot', CHAT, { messages, temperature: 2.5 }, 'temperature'],
  ['temperature as text', CHAT, { messages, temperature: 'warm' }, 'temperature'],
  ['negative max_tokens', TEXT, { prompt: 'x', max_tokens: -1 }, 'max_tokens'],
  ['top_p of 0', TEXT, { prompt: 'x', top_p: 0 }, 'top_p'],
  ['five stops', TEXT, { prompt: 'x', stop: ['1', '2', '3', '4', '5'] }, 'stop'],
  ['an empty stop', TEXT, { prompt: 'x', stop: '' }, 'stop'],
  ['a bias on nothing', TEXT, { prompt: 'x', logit_bias: { '99999': 1 } }, 'logit_bias'],
  ['a bias on a word', TEXT, { prompt: 'x', logit_bias: { cat: 1 } }, 'logit_bias.cat'],
  ['n beyond what fits', TEXT, { prompt: ['a', 'b'], n: 100 }, 'n'],
  ['n of 1000', TEXT, { prompt: 'a', n: 1000 }, 'n'],
  ['stream as text', CHAT, { messages, stream: 'yes' }, 'stream'],
  ['stream_options alone', CHAT, { messages, stream_options: { include_usage: true } }, 'stream_options'],
  ['top_logprobs alone', CHAT, { messages, top_logprobs: 2 }, 'top_logprobs'],
  ['tools', CHAT, { messages, tools: [{ type: 'function', function: { name: 'f' } }] }, 'tools'],
  ['JSON mode', CHAT, { messages, response_format: { type: 'json_object' } }, 'response_format'],
  ['best_of', TEXT, { prompt: 'x', best_of: 3 }, 'best_of'],
  ['a penalty of another server', TEXT, { prompt: 'x', repetition_penalty: 1.2 }, 'repetition_penalty'],
  ['a grammar', CHAT, { messages, guided_json: { type: 'object' } }, 'guided_json'],
  ['a body that is a list', TEXT, [], null],
  ['a body that is a number', TEXT, 7, null],
];

describe('a wrong request', () => {
  it.each(wrong)('%s', async (_, path, body, param) => {
    const { url, errors } = await serve(toyEngine());
    const { status, json } = await post(url, path, JSON.stringify(body));
    expect(status).toBe(400);
    expect(json).toEqual({
      error: {
        message: expect.stringMatching(/./),
        type: 'invalid_request_error',
        param,
        code: 'request_invalid',
      },
    });
    expect(errors).toEqual([]);
  });

  it.each([
    ['malformed JSON', '{"prompt": "x"', 400],
    ['no body', '', 400],
    ['a poisoned prototype', '{"prompt":"x","__proto__":{"stream":true}}', 400],
    ['a thousand brackets', `{"prompt":${'['.repeat(5000)}${']'.repeat(5000)}}`, 400],
    ['bytes that are no text', Uint8Array.of(0xff, 0xfe, 0x00), 400],
    ['nine megabytes', `{"prompt":"${'x'.repeat(9 * 2 ** 20)}"}`, 413],
  ])('%s', async (_, body, expected) => {
    const { url, errors, client } = await serve(toyEngine());
    const { status, json, headers } = await post(url, TEXT, body);
    expect(status).toBe(expected);
    expect(Object.keys(json.error).sort()).toEqual(['code', 'message', 'param', 'type']);
    expect(json.error.type).toBe('invalid_request_error');
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(errors).toEqual([]);
    expect((await client.completions.create({ model: MODEL, prompt: 'x' })).choices).toHaveLength(1);
  });

  it.each([
    [
      'a broken escape in the address',
      'GET /% HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      400,
    ],
    ['a method nobody has', 'FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['bytes that are no HTTP', '\0\u0001\r\n\r\n', 400],
    ['endless headers', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
  ])('%s is refused in the shape of all errors', async (_, request, status) => {
    const { url, errors } = await serve(toyEngine());
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(request);
    let answer = '';
    for await (const chunk of socket.setEncoding('utf8')) answer += chunk;
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toEqual({
      error: {
        message: expect.stringMatching(/./),
        type: 'invalid_request_error',
        param: null,
        code: 'request_invalid',
      },
    });
    expect(errors).toEqual([]);
  });

  it('for a model with an endless name is not answered with all of it', async () => {
    const { url } = await serve(toyEngine());
    const { status, text } = await post(url, TEXT, JSON.stringify({ prompt: 'x', model: 'm'.repeat(1e6) }));
    expect(status).toBe(404);
    expect(text.length).toBeLessThan(500);
  });

  it('of another content type, path or method is refused', async () => {
    const { url } = await serve(toyEngine());
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'nonsense']) {
      const { status, json } = await post(url, TEXT, '{"prompt":"x"}', type);
      expect(status).toBe(415);
      expect(json).toEqual({
        error: {
          message: expect.stringContaining('"content-type: application/json"'),
          type: 'invalid_request_error',
          param: null,
          code: 'request_invalid',
        },
      });
    }
    expect(await post(url, '/v1/embeddings', '{}')).toMatchObject({
      status: 404,
      json: { error: { code: 'not_found' } },
    });
    expect((await fetch(`${url}${TEXT}`)).status).toBe(404);
  });
});

describe('any request', () => {
  it('is answered or refused, never a failure of the server', async () => {
    const { server, errors } = await serve(toyEngine({ maxSeqLen: 48 }, { slots: 4, maxQueue: 8 }));
    const known = [
      'prompt',
      'messages',
      'max_tokens',
      'temperature',
      'top_p',
      'top_k',
      'min_p',
      'seed',
      'n',
      'stop',
      'echo',
    ];
    known.push(
      'stream',
      'stream_options',
      'logprobs',
      'top_logprobs',
      'logit_bias',
      'model',
      'presence_penalty',
      'tools',
    );
    const likely = fc.constantFrom<unknown>(
      0,
      1,
      2,
      -1,
      0.5,
      1e308,
      2 ** 53,
      true,
      false,
      null,
      '',
      'x',
      'né😀',
      [],
      [1, 2],
      [[1]],
      {},
    );
    const value = fc.oneof({ weight: 3, arbitrary: likely }, { weight: 1, arbitrary: fc.jsonValue() });
    // One or two odd values are often let through, six hardly ever.
    const odd = (maxKeys: number) => fc.dictionary(fc.constantFrom(...known), value, { maxKeys });
    const body = fc.oneof(odd(1), odd(2), odd(6));
    const statuses = new Map<number, number>();
    const plain = { [CHAT]: { messages, max_tokens: 3 }, [TEXT]: { prompt: 'x', max_tokens: 3 } };
    const start = fc.oneof(
      fc.constantFrom(...Object.entries(plain)),
      fc.tuple(fc.constantFrom(CHAT, TEXT), fc.constantFrom({}, ...Object.values(plain))),
    );
    await fc.assert(
      fc.asyncProperty(start, body, async ([url, first], second) => {
        const payload = JSON.stringify({ ...first, ...second });
        const headers = { 'content-type': 'application/json' };
        const { statusCode, body: text } = await server.app.inject({ method: 'POST', url, payload, headers });
        statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
        expect([200, 400, 404]).toContain(statusCode);
        if (statusCode !== 200) expect(JSON.parse(text).error.message).not.toBe('');
      }),
      { numRuns: 400 },
    );
    expect(errors).toEqual([]);
    // The property says little unless many get through and many do not.
    expect(statuses.get(200)).toBeGreaterThan(40);
    expect(statuses.get(400)).toBeGreaterThan(40);
  });
});

describe('a right request', () => {
  it('may have keys nobody knows and nulls', async () => {
    const { url } = await serve(toyEngine());
    const body = {
      prompt: 'x',
      max_tokens: null,
      stop: null,
      temperature: null,
      n: null,
      logprobs: null,
      stream: null,
      colour: 'red',
      repetition_penalty: 1.0,
    };
    const { status, json } = await post(url, TEXT, JSON.stringify(body));
    expect(status).toBe(200);
    expect(json.usage.completion_tokens).toBe(16);
  });
});

describe('the network', () => {
  it('gets the headers of a stream and no CORS', async () => {
    const { url } = await serve(toyEngine());
    const { headers, text } = await post(url, TEXT, JSON.stringify({ prompt: 'x', stream: true }));
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-cache');
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(text.endsWith('\n\ndata: [DONE]\n\n')).toBe(true);
    expect(
      text
        .split('\n\n')
        .slice(0, -1)
        .every((block) => block.startsWith('data: ')),
    ).toBe(true);
  });

  it('cannot reach it by a foreign name', async () => {
    const { server } = await serve(toyEngine());
    const ask = (host: string) => server.app.inject({ url: '/v1/models', headers: { host } });
    expect((await ask('evil.example:8000')).statusCode).toBe(403);
    expect((await ask('127.evil.example')).json().error.code).toBe('host_not_allowed');
    for (const host of ['localhost:8000', '127.0.0.1', '[::1]:8000', '192.168.1.7:8000']) {
      expect((await ask(host)).statusCode).toBe(200);
    }
  });

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((each) => each && !each.internal && each.family === 'IPv4')?.address;

  it.skipIf(!outside)('reaches it by any name where it was let in (skipped without a network)', async () => {
    const open = createServer({ nowSeconds: () => 0 });
    const { port, close } = await startServer(open.app, { host: '0.0.0.0', port: 0 });
    const ask = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { host, port, path: '/v1/models', headers: { host: 'box.example' }, agent: false };
        get(options, (response) => resolve(response.resume().statusCode)).on('error', reject);
      });
    expect([await ask(outside!), await ask('127.0.0.1')]).toEqual([200, 403]);
    await close();
  });

  it('that reads nothing holds up its own answer only, and is forgotten when it leaves', async () => {
    const engine = toyEngine({ maxSeqLen: 4096 });
    const { url, client } = await serve(engine);
    const body = JSON.stringify({
      prompt: 'x',
      stream: true,
      max_tokens: 4000,
      logprobs: 20,
      ignore_eos: true,
    });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.pause();
    socket.write(
      `POST ${TEXT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await expect.poll(() => engine.load.running).toBe(1);
    expect((await client.completions.create({ model: MODEL, prompt: 'y' })).usage!.completion_tokens).toBe(
      16,
    );
    socket.destroy();
    await expect.poll(() => engine.load.running).toBe(0);
  });
});

describe('with runs and a page', () => {
  it('serves all three from one address', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dabarex-serve-'));
    writeFileSync(join(folder, 'index.html'), '<title>runs</title>');
    const { app } = createServer({ nowSeconds: () => 0, runsDir: join(folder, 'runs'), pageDir: folder });
    expect((await app.inject('/')).body).toBe('<title>runs</title>');
    expect((await app.inject('/api/runs')).json()).toEqual([]);
    expect((await app.inject('/api/runs/none')).statusCode).toBe(404);
    expect((await app.inject('/v1/models')).json().data).toEqual([]);
    expect((await app.inject({ url: '/api/runs', headers: { host: 'evil.example' } })).statusCode).toBe(403);
    await app.close();
    rmSync(folder, { recursive: true });
  });
});

describe('startServer', () => {
  const close: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const each of close.splice(0)) await each();
  });

  it('says that a port is taken', async () => {
    const first = await startServer(createServer({ nowSeconds: () => 0 }).app, {
      host: '127.0.0.1',
      port: 0,
    });
    close.push(first.close);
    const second = startServer(createServer({ nowSeconds: () => 0 }).app, {
      host: '127.0.0.1',
      port: first.port,
    });
    await expect(second).rejects.toMatchObject({ code: 'port_in_use', fields: { port: first.port } });
    await expect(second).rejects.toThrow('--port');
  });
});
