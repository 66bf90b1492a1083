import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunDirectory } from '../runs/index.ts';
import { registerPage } from './page.ts';
import { registerRunsApi } from './runs-api.ts';

let folder: string;
let run: RunDirectory;
let app: FastifyInstance;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runs-api-'));
  run = RunDirectory.open({ runsDir: join(folder, 'runs'), name: 'a', recipe: { seed: 1 }, now: () => 1e12 });
  run.appendEvent({ type: 'stage_started', stage: 'train', total_steps: 10, parameters_total: 5 });
  run.appendMetrics({ step: 1, loss_train_nats: 3 });
  app = Fastify({ forceCloseConnections: true });
  registerRunsApi(app, { runsDir: join(folder, 'runs') });
});
afterEach(async () => {
  await app.close();
  run.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = async (url: string) => {
  const reply = await app.inject(url);
  return { status: reply.statusCode, body: reply.json() };
};

it('lists the runs and tells one', async () => {
  expect((await get('/api/runs')).body).toMatchObject([
    { name: 'a', status: { state: 'training', step: 1 } },
  ]);
  expect((await get('/api/runs/a')).body).toMatchObject({
    name: 'a',
    recipe: { seed: 1 },
    status: { state: 'training', totalSteps: 10, parametersTotal: 5, alive: true },
    lastMetrics: { loss_train_nats: 3 },
  });
});

it('reads metrics and events on from where the last answer ended', async () => {
  const first = (await get('/api/runs/a/metrics')).body;
  expect(first.metrics).toHaveLength(1);
  expect((await get(`/api/runs/a/metrics?since=${first.next}`)).body).toEqual({
    metrics: [],
    next: first.next,
    reset: false,
  });
  run.appendMetrics({ step: 2 });
  const second = (await get(`/api/runs/a/metrics?since=${first.next}`)).body;
  expect(second.metrics).toMatchObject([{ step: 2 }]);
  run.rewindMetrics(1);
  expect((await get(`/api/runs/a/metrics?since=${second.next}`)).body).toMatchObject({
    metrics: [{ step: 1 }],
    reset: true,
  });
  expect((await get('/api/runs/a/events?since=nonsense')).body.events).toMatchObject([{ stage: 'train' }]);
});

it('lets no name leave the folder of the runs', async () => {
  mkdirSync(join(folder, 'secret'));
  writeFileSync(join(folder, 'secret', 'recipe.yaml'), 'a: 1\n');
  for (const name of ['..%2Fsecret', '%2e%2e%2fsecret', '..', '%2e%2e', '..%5Csecret', 'a%00', '.hidden']) {
    const { status, body } = await get(`/api/runs/${name}`);
    expect([400, 404], name).toContain(status);
    expect(JSON.stringify(body)).not.toContain('"a":1');
  }
  expect(await get('/api/runs/..%2Fsecret')).toMatchObject({
    status: 400,
    body: { error: { code: 'run_name_invalid' } },
  });
  expect(await get('/api/runs/none')).toMatchObject({
    status: 404,
    body: { error: { code: 'run_missing' } },
  });
});

it('streams what is appended, goes on from Last-Event-ID, tells of a rewind, ends with the client', async () => {
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const client = await openStream(`${url}/api/runs/a/stream`);
  expect(await client.next('events')).toMatchObject({ events: [{ stage: 'train' }], reset: false });
  expect(await client.next('metrics')).toMatchObject({ metrics: [{ step: 1 }], reset: false });
  expect(await client.next('status')).toMatchObject({ state: 'training', step: 1 });
  run.appendMetrics({ step: 2 });
  expect(await client.next('metrics')).toMatchObject({ metrics: [{ step: 2 }] });
  run.writeProgress({ stage: 'train', done: 2, total: 10, unit: 'steps' });
  let status = await client.next('status');
  while (!status.progress) status = await client.next('status');
  expect(status.progress).toMatchObject({ done: 2, total: 10 });
  const { lastId } = client;
  await client.close();
  run.appendMetrics({ step: 3 });
  const second = await openStream(`${url}/api/runs/a/stream`, lastId);
  expect(await second.next('metrics')).toMatchObject({ metrics: [{ step: 3 }], reset: false });
  run.rewindMetrics(2);
  expect(await second.next('metrics')).toMatchObject({ metrics: [{ step: 1 }, { step: 2 }], reset: true });
  const seen = second.lastId;
  await second.close();
  run.rewindMetrics(1);
  for (let step = 2; step < 9; step++) run.appendMetrics({ step, tokens: step });
  const third = await openStream(`${url}/api/runs/a/stream`, seen);
  const page = await third.next('metrics');
  expect(page.reset).toBe(true);
  expect(page.metrics.map((each: { step: number }) => each.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  await third.close();
});

it('serves the page with its headers, and says so where it was not built', async () => {
  const bare = Fastify();
  registerPage(bare, { distDir: join(folder, 'none') });
  expect((await bare.inject('/')).statusCode).toBe(503);
  mkdirSync(join(folder, 'dist', 'assets'), { recursive: true });
  writeFileSync(join(folder, 'dist', 'index.html'), '<p>page');
  writeFileSync(join(folder, 'dist', 'assets', 'a-1.js'), '1');
  registerPage(app, { distDir: join(folder, 'dist') });
  const page = await app.inject('/');
  expect(page.body).toBe('<p>page');
  expect(page.headers['content-security-policy']).toContain("default-src 'self'");
  expect((await app.inject('/assets/a-1.js')).headers['cache-control']).toContain('immutable');
  expect((await app.inject('/..%2Fruns%2Fa%2Frecipe.yaml')).statusCode).toBe(404);
});

async function openStream(url: string, lastId?: string) {
  const stop = new AbortController();
  const headers: Record<string, string> = lastId ? { 'last-event-id': lastId } : {};
  const reply = await fetch(url, { signal: stop.signal, headers });
  const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  const client = {
    lastId: '',
    // biome-ignore lint/suspicious/noExplicitAny: messages of several shapes
    async next(type: string): Promise<any> {
      for (;;) {
        const end = buffer.indexOf('\n\n');
        if (end < 0) {
          const { value, done } = await reader.read();
          if (done) throw new Error('the stream ended');
          buffer += value;
          continue;
        }
        const block = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        client.lastId = field('id') ?? client.lastId;
        if (field('event') === type) return JSON.parse(field('data')!);
      }
    },
    close: async () => {
      stop.abort();
      await reader.cancel().catch(() => {});
    },
  };
  return client;
}
