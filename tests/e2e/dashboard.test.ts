/**
 * The page in a real Chromium, over a run directory that is written line by line while the page is open. The run API and the
 * page are the real ones; `/v1` is a small stand-in with OpenAI's stream format, whose answers the test knows in advance.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Fastify, { type FastifyInstance } from 'fastify';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RunDirectory } from '../../src/runs/index.ts';
import { registerPage } from '../../src/serve/page.ts';
import { registerRunsApi } from '../../src/serve/runs-api.ts';

const distDir = fileURLToPath(new URL('../../dashboard/dist', import.meta.url));
const candidates = [
  process.env.DABAREX_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const executablePath = candidates.find((path) => path && existsSync(path));
const built = existsSync(join(distDir, 'index.html'));
const missing = !executablePath
  ? 'no Chromium here (DABAREX_CHROMIUM names one)'
  : built
    ? undefined
    : 'the page is not built';
if (missing) console.log(`tests/e2e/dashboard.test.ts skipped: ${missing}`);
const screenshots = process.env.DABAREX_SCREENSHOTS;
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser: Browser;
let folder: string;
let run: RunDirectory;
let app: FastifyInstance;
let url: string;
let page: Page;
let foreignRequests: string[];
let pageErrors: string[];

describe.skipIf(missing)('the page', () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args });
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dashboard-'));
    run = openRun('quickstart');
    app = await startApp(0);
    url = `http://127.0.0.1:${(app.server.address() as { port: number }).port}`;
    foreignRequests = [];
    pageErrors = [];
  });
  afterEach(async () => {
    await page?.context().close();
    await app.close();
    run.close();
    rmSync(folder, { recursive: true, force: true });
    expect(foreignRequests).toEqual([]);
    expect(pageErrors).toEqual([]);
  });

  it('says what goes on before training, then shows curves, heat map and samples as they come', async () => {
    page = await openPage({ width: 1280, height: 900 });
    await page.getByTestId('state').getByText('created').waitFor();
    run.appendEvent({ type: 'run_started' });
    run.appendEvent({ type: 'stage_started', stage: 'tokenizer' });
    run.writeProgress({ stage: 'merge', done: 450, total: 1000, unit: 'merges' });
    await page.getByText('Training has not started: tokenizer, 45 % done.').first().waitFor();
    await shoot('before-training');
    run.appendEvent({ type: 'stage_completed', stage: 'tokenizer', seconds: 12 });
    writeTraining(run, 1, 30);
    await chartWith(30);
    await page.getByText('step 300 of 1,000').waitFor();
    const canvas = page.locator('.chart canvas').first();
    const before = await canvas.evaluate((each) => (each as unknown as { toDataURL(): string }).toDataURL());
    const heatBefore = await page.getByTestId('heat-map').innerHTML();
    writeTraining(run, 31, 90);
    await chartWith(90);
    expect(
      await canvas.evaluate((each) => (each as unknown as { toDataURL(): string }).toDataURL()),
    ).not.toBe(before);
    expect(await page.getByTestId('heat-map').innerHTML()).not.toBe(heatBefore);
    expect(await page.getByTestId('heat-map').locator('tbody tr').count()).toBe(6);
    await page.getByTestId('heat-map').locator('tbody tr').nth(2).locator('td').nth(5).hover();
    await page.getByText(/^Layer 2, expert 5: \d+\.\d % of the tokens, \d\.\d\d × an even share/).waitFor();
    await page.getByTestId('samples').getByText('step 900').first().waitFor();
    expect(await page.locator('.chart').count()).toBe(4);
    await page
      .locator('.chart .u-over')
      .first()
      .hover({ position: { x: 300, y: 100 } });
    await page
      .locator('.chart .u-legend')
      .first()
      .getByText(/^\d\.\d{3}$/)
      .first()
      .waitFor();
    await shoot('training');
  });

  it('takes back what a resume rewound, and comes back after the server was away', async () => {
    writeTraining(run, 1, 20);
    page = await openPage({ width: 1280, height: 900 });
    await chartWith(20);
    run.rewindMetrics(100);
    await chartWith(10);
    const port = (app.server.address() as { port: number }).port;
    await app.close();
    await page.getByText('The connection to the server is lost.').waitFor();
    writeTraining(run, 11, 15);
    app = await startApp(port);
    await chartWith(15);
    await expect.poll(() => page.getByText('The connection to the server is lost.').count()).toBe(0);
  });

  it('shows a finished run and streams text from its model, stops it, and tells errors', async () => {
    writeFinished(run);
    serveModel(app, 'quickstart');
    page = await openPage({ width: 1280, height: 900 });
    await page.getByTestId('evaluation').getByText('−12 %').waitFor();
    await page.getByLabel('Text to continue').fill('The sea');
    await page.getByLabel('Max tokens').fill('8');
    await page.getByLabel('Seed').fill('7');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText(/^8 tokens · /).waitFor();
    expect(await page.getByTestId('answer').textContent()).toBe('The sea w0 w1 w2 w3 w4 w5 w6 w7');
    expect(lastBody).toMatchObject({
      prompt: 'The sea',
      max_tokens: 8,
      seed: 7,
      temperature: 0.8,
      stream: true,
    });
    await shoot('finished');
    await page.getByLabel('Max tokens').fill('5000');
    await page.getByLabel('Text to continue').press('Control+Enter');
    await page.getByTestId('answer').getByText('w3').waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('stopped by you').waitFor();
    await page.getByLabel('Text to continue').fill('too long');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').getByText('The prompt has 900 tokens and the context holds 512.').waitFor();
    await page.getByText('Chat', { exact: true }).click();
    await page.getByLabel('Max tokens').fill('3');
    await page.getByLabel('Message').fill('Hello');
    await page.getByLabel('Message').press('Enter');
    await page
      .locator('.turn.assistant')
      .getByText(/^w0 w1 w2$/)
      .waitFor();
    expect(lastBody).toMatchObject({ messages: [{ role: 'user', content: 'Hello' }] });
    await shoot('chat');
  });

  it.each(['light', 'dark'] as const)('fits a phone, %s', async (colorScheme) => {
    writeFinished(run);
    serveModel(app, 'quickstart');
    page = await openPage({ width: 360, height: 780 }, colorScheme);
    await page.getByLabel('Text to continue').waitFor();
    await chartWith(100);
    const widths = await page.evaluate(`[document.documentElement.scrollWidth, window.innerWidth]`);
    expect(widths).toEqual([360, 360]);
    const background = await page.evaluate(`getComputedStyle(document.body).backgroundColor`);
    expect(background).toBe(colorScheme === 'dark' ? 'rgb(16, 18, 22)' : 'rgb(245, 246, 248)');
    await shoot(`phone-${colorScheme}`);
    await page.getByRole('button', { name: /Switch to the/ }).click();
    const swapped = await page.evaluate(`getComputedStyle(document.body).backgroundColor`);
    expect(swapped).toBe(colorScheme === 'dark' ? 'rgb(245, 246, 248)' : 'rgb(16, 18, 22)');
  });

  it('lets the reader pick among runs, in the dark', async () => {
    writeFinished(run);
    const other = openRun('other');
    writeTraining(other, 1, 40);
    page = await openPage({ width: 1280, height: 900 }, 'dark');
    await page.getByRole('combobox', { name: 'Run' }).selectOption('other');
    await chartWith(40);
    await shoot('desktop-dark');
    await page.getByRole('combobox', { name: 'Run' }).selectOption('quickstart');
    await chartWith(100);
    expect(page.url()).toContain('#quickstart');
    other.close();
  });
});

function openRun(name: string): RunDirectory {
  const recipe = { name, model: { numLayers: 6, dModel: 256 } };
  return RunDirectory.open({ runsDir: join(folder, 'runs'), name, recipe, now: Date.now });
}

async function startApp(port: number): Promise<FastifyInstance> {
  const created = Fastify({ forceCloseConnections: true });
  registerRunsApi(created, { runsDir: join(folder, 'runs') });
  registerPage(created, { distDir });
  addModelRoutes(created);
  await created.listen({ port, host: '127.0.0.1' });
  return created;
}

async function openPage(
  viewport: { width: number; height: number },
  colorScheme: 'light' | 'dark' = 'light',
) {
  const context = await browser.newContext({ viewport, colorScheme });
  const opened = await context.newPage();
  opened.on('request', (request) => {
    if (!request.url().startsWith(url)) foreignRequests.push(request.url());
  });
  opened.on('pageerror', (error) => pageErrors.push(String(error)));
  await opened.goto(url);
  return opened;
}

function chartWith(points: number): Promise<void> {
  return page.locator(`.chart[data-points="${points}"]`).first().waitFor();
}

async function shoot(name: string): Promise<void> {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  await sleep(300);
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

const DOMAINS = { prose: 2.1, code: 1.6, docs: 1.9, maths: 2.4, reference: 2.0 };

/** Log points `from..to`, every ten steps; an invented course of training. */
function writeTraining(target: RunDirectory, from: number, to: number): void {
  if (from === 1) {
    const model = { total_steps: 1000, parameters_total: 14_812_416, parameters_active: 5_221_632 };
    target.appendEvent({ type: 'stage_started', stage: 'train', ...model });
    target.appendEvent({ type: 'phase_started', phase: 0, weights: { prose: 0.5, code: 0.3, docs: 0.2 } });
  }
  for (let i = from; i <= to; i++) {
    const bits = 1.9 + 3 * Math.exp(-i / 15) + 0.08 * Math.sin(i * 7.3);
    const domains = Object.entries(DOMAINS).map(([name, floor]) => [
      `eval_bits_per_byte.${name}`,
      floor + 2.8 * Math.exp(-i / 15),
    ]);
    target.appendMetrics({
      step: i * 10,
      tokens: i * 20480,
      loss_train_nats: bits * 2.6,
      bits_per_byte_train: bits,
      tokens_per_second: 7200 + 300 * Math.sin(i),
      mfu: 0.44 + 0.02 * Math.sin(i),
      learning_rate: 2e-3 * Math.min(1, i / 8) * (1 - i / 110),
      eta_seconds: (100 - i) * 3,
      ...(i % 10 === 0 ? Object.fromEntries(domains) : {}),
      ...Object.fromEntries([0, 1, 2, 3, 4, 5].map((layer) => [`expert_load.${layer}`, loads(layer, i)])),
    });
    if (i % 30 === 0) {
      const text = `The sea was ${'very '.repeat(i / 30)}blue, and the old man\nwent down to it with his boat.`;
      target.appendEvent({ type: 'sample', step: i * 10, prompt: 'The sea', text });
      target.appendEvent({ type: 'checkpoint_saved', step: i * 10, path: `checkpoints/step-${i * 10}` });
    }
  }
}

function loads(layer: number, i: number): number[] {
  const raw = Array.from({ length: 16 }, (_, e) =>
    Math.exp(1.6 * Math.exp(-i / 30) * Math.sin(e * (layer + 2) * 1.7 + layer)),
  );
  const sum = raw.reduce((a, b) => a + b, 0);
  return raw.map((each) => each / sum);
}

function writeFinished(target: RunDirectory): void {
  for (const [stage, seconds] of [
    ['prepare', 21],
    ['tokenizer', 12],
    ['shards', 9],
  ] as const) {
    target.appendEvent({ type: 'stage_started', stage });
    target.appendEvent({ type: 'stage_completed', stage, seconds });
  }
  writeTraining(target, 1, 100);
  target.appendEvent({ type: 'stage_completed', stage: 'train', seconds: 291 });
  target.appendEvent({ type: 'stage_started', stage: 'evaluate' });
  const entry = (bits: number, xz: number) => ({
    bits_per_byte: bits,
    loss_nats: bits * 2.6,
    xz_bits_per_byte: xz,
  });
  const domains = { prose: entry(2.2, 2.5), code: entry(1.7, 1.55), docs: entry(1.95, 2.1) };
  target.appendEvent({ type: 'evaluation', step: 1000, domains });
  target.appendEvent({ type: 'stage_completed', stage: 'evaluate', seconds: 31 });
  target.appendEvent({ type: 'run_completed' });
  target.appendEvent({ type: 'stage_started', stage: 'serve' });
}

let servedModel: string | undefined;
let lastBody: unknown;

function serveModel(_app: FastifyInstance, id: string): void {
  servedModel = id;
}

interface Body {
  readonly prompt?: string;
  readonly max_tokens: number;
}

/** OpenAI's routes with a model that says w0 w1 w2 ... */
function addModelRoutes(target: FastifyInstance): void {
  servedModel = undefined;
  target.get('/v1/models', () => ({ object: 'list', data: servedModel ? [{ id: servedModel }] : [] }));
  for (const path of ['/v1/completions', '/v1/chat/completions']) {
    target.post<{ Body: Body }>(path, async ({ body }, reply) => {
      lastBody = body;
      if (body.prompt === 'too long') {
        const message = 'The prompt has 900 tokens and the context holds 512.';
        return reply.code(400).send({ error: { message, type: 'invalid_request_error' } });
      }
      reply.hijack();
      reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
      const send = (data: unknown) => reply.raw.write(`data: ${JSON.stringify(data)}\n\n`);
      for (let i = 0; i < body.max_tokens && !reply.raw.destroyed; i++) {
        const text = ` w${i}`;
        const choice = path.includes('chat') ? { delta: { content: text } } : { text };
        send({ choices: [{ ...choice, finish_reason: null }] });
        await sleep(10);
      }
      send({ choices: [{ text: '', delta: {}, finish_reason: 'length' }] });
      send({ choices: [], usage: { completion_tokens: body.max_tokens } });
      reply.raw.end('data: [DONE]\n\n');
    });
  }
}
