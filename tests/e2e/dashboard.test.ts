/**
 * The page in a real Chromium, from the real server, over a run directory that is written line by line while the page is
 * open. The model behind the chat box is the toy of tests/serving, in its worker thread.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { formatCountTick, formatPercent, tickLabels } from '../../dashboard/src/format.ts';
import { EngineClient } from '../../src/infer/index.ts';
import { RunDirectory } from '../../src/runs/index.ts';
import { createServer, startServer } from '../../src/serve/index.ts';

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
const closers: (() => Promise<unknown>)[] = [];
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
    foreignRequests = [];
    pageErrors = [];
  });
  afterEach(async () => {
    await page?.context().close();
    await stopApp();
    run.close();
    rmSync(folder, { recursive: true, force: true });
    expect(foreignRequests).toEqual([]);
    expect(pageErrors).toEqual([]);
  });

  it('says what goes on before training, then shows curves, heat map and samples as they come', async () => {
    await startApp(0);
    page = await openPage({ width: 1280, height: 900 });
    await page.getByTestId('state').getByText('created').waitFor();
    run.appendEvent({ type: 'run_started' });
    run.appendEvent({ type: 'stage_started', stage: 'tokenizer' });
    run.writeProgress({ stage: 'merge', done: 450, total: 1000, unit: 'merges' });
    await page.getByText('Training has not started: preparing the tokenizer, 45 % done.').first().waitFor();
    await page
      .getByText('The model of quickstart is not ready yet: preparing the tokenizer, 45 % done.')
      .waitFor();
    await shoot('before-training');
    run.appendEvent({ type: 'stage_completed', stage: 'tokenizer', seconds: 12 });
    writeTraining(run, 1, 30);
    await chartWith(30);
    await page.getByText('step 300 of 1,000').waitFor();
    await page
      .getByText(/^The model of quickstart is not ready yet: training, 30 % done, .* to go\.$/)
      .waitFor();
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

  it('joins what training and an evaluation say of one step', async () => {
    await startApp(0);
    writeTraining(run, 10, 10);
    page = await openPage({ width: 1280, height: 900 });
    await chartWith(1);
    expect(await page.locator('.chart').count()).toBe(4);
    expect(await page.getByTestId('heat-map').locator('tbody tr').count()).toBe(6);
  });

  it('takes back what a resume rewound, and comes back after the server was away', async () => {
    await startApp(0);
    writeTraining(run, 1, 20);
    page = await openPage({ width: 1280, height: 900 });
    await chartWith(20);
    run.rewindMetrics(100);
    await chartWith(10);
    const { port } = new URL(url);
    await stopApp();
    await page.getByText('The connection to the server is lost.').waitFor();
    writeTraining(run, 11, 15);
    await startApp(Number(port));
    await chartWith(15);
    await expect.poll(() => page.getByText('The connection to the server is lost.').count()).toBe(0);
  });

  it('shows a finished run and streams text from its model, stops it, and tells errors', async () => {
    writeFinished(run);
    await startApp(0, true);
    page = await openPage({ width: 1280, height: 900 });
    await page.getByTestId('evaluation').getByText('−12 %').waitFor();
    await page.getByLabel('Text to continue').fill('The sea');
    await page.getByLabel('Max tokens').fill('8');
    await page.getByLabel('Seed').fill('7');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText(/^8 tokens · /).waitFor();
    const expected = await answerTo('/v1/completions', { prompt: 'The sea', max_tokens: 8 });
    expect(await page.getByTestId('answer').textContent()).toBe(`The sea${expected}`);
    await shoot('finished');
    await page.getByLabel('Max tokens').fill('900');
    await page.getByLabel('Text to continue').press('Control+Enter');
    await expect
      .poll(async () => (await page.getByTestId('answer').textContent())!.length)
      .toBeGreaterThan(20);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('stopped by you').waitFor();
    await page.getByLabel('Text to continue').fill('x'.repeat(2000));
    await page.getByRole('button', { name: 'Continue' }).click();
    await page
      .getByRole('alert')
      .getByText(/2000.*1024/)
      .waitFor();
    await page.getByText('Chat', { exact: true }).click();
    await page.getByLabel('Max tokens').fill('3');
    await page.getByLabel('Message').fill('Hello');
    await page.getByLabel('Message').press('Enter');
    await page.getByText(/^3 tokens · /).waitFor();
    const messages = [{ role: 'user', content: 'Hello' }];
    const answer = await answerTo('/v1/chat/completions', { messages, max_tokens: 3 });
    expect(await page.locator('.turn.assistant').textContent()).toBe(`Model: ${answer.trimStart()}`);
    await shoot('chat');
  });

  it('continues its own text, starts over, and shows of a long prompt the end', async () => {
    writeFinished(run);
    await startApp(0, true);
    page = await openPage({ width: 1280, height: 900 });
    const answer = () => page.getByTestId('answer').textContent();
    await page.getByLabel('Text to continue').fill('The sea');
    await page.getByLabel('Max tokens').fill('8');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText(/^8 tokens · /).waitFor();
    const first = (await answer())!;
    await page.getByLabel('Max tokens').fill('9');
    await page.getByLabel('Seed').fill('7');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText(/^9 tokens · /).waitFor();
    const more = await answerTo('/v1/completions', { prompt: first, max_tokens: 9 });
    expect(await answer()).toBe(first + more);
    await page.getByRole('button', { name: 'Start over' }).click();
    expect(await page.getByTestId('answer').count()).toBe(0);
    const words = 'all the rivers run into the sea '.repeat(25);
    await page.getByLabel('Text to continue').fill(words);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText(/^9 tokens · /).waitFor();
    expect((await answer())!.length).toBeLessThan(250);
    expect(await answer()).toMatch(/^… \w.*into the sea /);
    // It grows past the context of 1024 tokens: the end goes on, and the page says so.
    await page.getByLabel('Max tokens').fill('200');
    for (let i = 0; i < 2; i++) {
      const before = (await answer())!.length;
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByText(/^\d+ tokens · /).waitFor();
      expect((await answer())!.length).toBeGreaterThan(before);
    }
    await page
      .getByTestId('cut')
      .getByText(/saw only the end .* 1,024 tokens/)
      .waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  it('goes on with a chat that is longer than the context, without its oldest turns, and begins a new one', async () => {
    writeFinished(run);
    await startApp(0, true);
    page = await openPage({ width: 1280, height: 900 });
    await page.getByText('Chat', { exact: true }).click();
    await page.getByLabel('Max tokens').fill('5');
    const say = async (text: string, turns: number) => {
      await page.getByLabel('Message').fill(text);
      await page.getByLabel('Message').press('Enter');
      await expect.poll(() => page.locator('.turn.assistant').count(), { timeout: 10_000 }).toBe(turns);
      await page.getByText(/^5 tokens · /).waitFor();
    };
    // The second is refused as it stands, before any answer was counted together with it; the third is cut by the count.
    for (let i = 1; i <= 3; i++) await say(`${i} ${'x'.repeat(600)}`, i);
    expect(await page.locator('.turn.dropped').count()).toBe(4);
    await page
      .getByTestId('dropped')
      .getByText(/no longer sees .* 1,024 tokens/)
      .waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
    await shoot('chat-full');
    // One message that is too long on its own goes back into the box.
    await page.getByLabel('Message').fill('y'.repeat(2000));
    await page.getByLabel('Message').press('Enter');
    await page
      .getByRole('alert')
      .getByText(/1024 tokens/)
      .waitFor();
    expect(await page.getByLabel('Message').inputValue()).toBe('y'.repeat(2000));
    expect(await page.locator('.turn').count()).toBe(6);
    // What runs out of the context while it is answered says so.
    await page.getByRole('button', { name: 'New chat' }).click();
    expect(await page.locator('.turn').count()).toBe(0);
    expect(await page.getByRole('alert').count()).toBe(0);
    await page.getByLabel('Max tokens').fill('900');
    await page.getByLabel('Message').fill('z'.repeat(950));
    await page.getByLabel('Message').press('Enter');
    await page.getByText(/the context of 1,024 tokens is full$/).waitFor();
  });

  it('drops what comes after a chat was left', async () => {
    writeFinished(run);
    await startApp(0, true);
    page = await openPage({ width: 1280, height: 900 });
    await page.getByText('Chat', { exact: true }).click();
    await page.getByLabel('Message').fill('Hello');
    await page.getByLabel('Message').press('Enter');
    await expect
      .poll(async () => (await page.getByTestId('answer').textContent())!.length)
      .toBeGreaterThan(5);
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.getByLabel('Message').fill('Again');
    await page.getByLabel('Max tokens').fill('3');
    await page.getByLabel('Message').press('Enter');
    await page.getByText(/^3 tokens · /).waitFor();
    expect(await page.locator('.turn.user').allTextContents()).toEqual(['You: Again']);
  });

  it('says which model answers where another run is shown', async () => {
    writeFinished(run);
    const other = openRun('other');
    writeTraining(other, 1, 40);
    await startApp(0, true);
    page = await openPage({ width: 1280, height: 900 });
    await chartWith(100);
    expect(await page.getByTestId('other-model').count()).toBe(0);
    await page.getByRole('combobox', { name: 'Run' }).selectOption('other');
    await page
      .getByTestId('other-model')
      .getByText(/^quickstart answers: .* the run other\.$/)
      .waitFor();
    other.close();
  });

  it.each([
    [390, 'light'],
    [390, 'dark'],
    [1280, 'light'],
    [1280, 'dark'],
  ] as const)('leaves no holes and clips nothing, %i px, %s', async (width, colorScheme) => {
    writeFinished(run);
    const text = `${'It was a day as long as a week. '.repeat(30)}`;
    run.appendEvent({ type: 'sample', step: 1000, prompt: 'Long', text });
    await startApp(0, true);
    page = await openPage({ width, height: 800 }, colorScheme);
    await page.getByLabel('Text to continue').waitFor();
    await chartWith(100);
    await page.getByTestId('samples').getByText('step 1,000').waitFor();
    const clipped = await page.evaluate(
      `[...document.querySelectorAll('.samples p')].filter((p) => p.scrollHeight > p.clientHeight + 1).length`,
    );
    expect(clipped).toBe(0);
    const boxes = await page
      .locator('.columns .card')
      .evaluateAll((cards) =>
        (cards as unknown as { getBoundingClientRect(): { left: number; top: number; bottom: number } }[])
          .map((card) => card.getBoundingClientRect())
          .map(({ left, top, bottom }) => ({ left, top, bottom })),
      );
    for (const { left, bottom } of boxes) {
      const below = boxes.filter((each) => each.left === left && each.top >= bottom).map((each) => each.top);
      if (below.length > 0) expect(Math.min(...below) - bottom).toBeLessThanOrEqual(16);
    }
    await shoot(`cards-${width}-${colorScheme}`);
  });

  it.each(['light', 'dark'] as const)('fits a phone, %s', async (colorScheme) => {
    writeFinished(run);
    await startApp(0, true);
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
    await startApp(0);
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

it('labels the ticks of an axis so that neighbours differ', () => {
  const percent = (value: number, digits: number) => formatPercent(value, digits);
  expect(tickLabels([0, 0.2, 0.4], percent)).toEqual(['0 %', '20 %', '40 %']);
  expect(tickLabels([0.01, 0.0125, 0.015], percent)).toEqual(['1.00 %', '1.25 %', '1.50 %']);
  expect(tickLabels([0, 5000, 10000, 15000], formatCountTick)).toEqual(['0', '5,000', '10 k', '15 k']);
  expect(tickLabels([10000, 10200, 10400], formatCountTick)).toEqual(['10.0 k', '10.2 k', '10.4 k']);
  expect(tickLabels([7.5, 7.75, 8], formatCountTick)).toEqual(['7.50', '7.75', '8.00']);
});

function openRun(name: string): RunDirectory {
  const recipe = { name, model: { numLayers: 6, dModel: 256 } };
  return RunDirectory.open({ runsDir: join(folder, 'runs'), name, recipe, now: Date.now });
}

/** The server on `port` (0 takes a free one), with a model or one that is still to come. */
async function startApp(port: number, withModel = false): Promise<void> {
  const server = createServer({
    nowSeconds: () => Date.now() / 1000,
    runsDir: join(folder, 'runs'),
    pageDir: distDir,
  });
  const listening = await startServer(server.app, { host: '127.0.0.1', port });
  url = listening.url;
  closers.push(listening.close);
  if (!withModel) return;
  const loader = new URL('../serving/toy-model.ts', import.meta.url);
  const loaderOptions = { maxSeqLen: 1024, stepMs: 10 };
  const engine = await EngineClient.start({ loader, loaderOptions, engine: { slots: 2 } });
  closers.push(() => engine.close());
  server.attachEngine(engine, { id: 'quickstart', created: 0 });
}

async function stopApp(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
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
      ...Object.fromEntries([0, 1, 2, 3, 4, 5].map((layer) => [`expert_load.${layer}`, loads(layer, i)])),
    });
    // As training writes it: an evaluation has a line of its own, of the same step.
    if (i % 10 === 0)
      target.appendMetrics({ step: i * 10, tokens: i * 20480, ...Object.fromEntries(domains) });
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

/** What the server answers to the same request without streaming. */
async function answerTo(path: string, body: object): Promise<string> {
  const reply = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'quickstart', temperature: 0.8, seed: 7, ...body }),
  });
  const { choices } = (await reply.json()) as {
    choices: [{ text?: string; message?: { content: string } }];
  };
  return choices[0].text ?? choices[0].message!.content;
}
