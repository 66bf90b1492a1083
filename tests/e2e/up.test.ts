/** The main job as a user meets it: one command, the page from its start, the model at its end. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { readStatus } from '../../src/runs/index.ts';
import { type RunningCommand, Workplace } from './tiny-run.ts';

vi.setConfig({ testTimeout: 240_000 });

const place = new Workplace();
afterAll(() => place.close());

/** Long enough to look at the page while it trains, and for the model to have learned the words. */
const longer = {
  duration: '200step',
  evalInterval: '1dur',
  sampleInterval: '1dur',
  checkpointInterval: '1dur',
};

/** Steps of one piece, each so long that many requests fit in. */
const blockingSteps = {
  model: { dModel: 64, numLayers: 4 },
  train: {
    batchSequences: 512,
    microbatchSequences: 512,
    logInterval: '1step',
    evalInterval: '1dur',
    sampleInterval: '1dur',
    checkpointInterval: '1dur',
  },
};

describe('dabarex up with its server', () => {
  it('shows the run from its start, then streams from the model, and ends by Ctrl-C', async () => {
    const recipe = place.recipe('served', { train: longer, serve: { slots: 1, maxQueue: 0 } });
    // A folder that is in the way of the run's name is none of its model.
    mkdirSync(join(place.dir, 'served'));
    writeFileSync(join(place.dir, 'served', 'config.json'), '{}');
    const command = place.start('up', recipe, '--threads', '1');
    const url = await addressOf(command);
    expect((await fetch(`${url}/health`)).status).toBe(503);
    const early = await fetch(`${url}/v1/models`);
    expect(await early.json()).toMatchObject({ data: [] });
    await command.until(() => place.lines('served', 'metrics').length > 0);
    const [entry] = await getJson(`${url}/api/runs`);
    expect(entry.name).toBe('served');
    // A busy machine may have trained on between the two looks.
    expect(['training', 'evaluating']).toContain(entry.status.state);
    const { metrics } = await getJson(`${url}/api/runs/served/metrics`);
    expect(metrics[0]).toMatchObject({ step: 2, tokens: 256 });
    expect(command.stdout).not.toContain('Serving');

    await command.until(() => command.stdout.includes('Serving served'));
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const [served] = await getJson(`${url}/api/runs`);
    expect(served).toMatchObject({ name: 'served', status: { state: 'serving', alive: true } });
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
    expect((await client.models.list()).data.map((each) => each.id)).toEqual(['served']);
    const body = { model: 'served', prompt: 'the river', max_tokens: 24, temperature: 0 } as const;
    const whole = await client.completions.create(body);
    let text = '';
    for await (const chunk of await client.completions.create({ ...body, stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe(whole.choices[0]!.text);
    expect(text).toMatch(/\b(the|river|runs|under|a|stone|bridge|and|sings|of|rain)\b/);
    const long = client.completions.create({ ...body, prompt: 'the river '.repeat(60) });
    await expect(long).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });

    await expect(client.completions.create({ ...body, n: 2 })).rejects.toThrow(/more than the 1 this server/);

    const { code, signal, stderr } = await command.kill('SIGINT');
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+/);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
    const events = place.lines('served', 'events').slice(-3);
    expect(events.map((each) => [each.type, each.stage])).toEqual([
      ['run_completed', undefined],
      ['stage_started', 'serve'],
      ['stage_completed', 'serve'],
    ]);
    expect(readStatus(place.run('served'))).toMatchObject({ state: 'completed', alive: false });
  });

  it('answers again and again while one step of training holds its thread', async () => {
    const command = place.start('up', place.recipe('blocking', blockingSteps), '--threads', '1');
    const url = await addressOf(command);
    const steps = () => place.lines('blocking', 'metrics').length;
    await command.until(() => steps() > 0);
    // Answers that came whole between the log points of two steps, by the number of the step before.
    const answers = new Map<number, number>();
    while (steps() < 3) {
      const before = steps();
      const [entry] = await getJson(`${url}/api/runs`);
      expect(entry).toMatchObject({ name: 'blocking', status: { state: 'training' } });
      expect((await fetch(`${url}/health`)).status).toBe(503);
      if (steps() === before) answers.set(before, (answers.get(before) ?? 0) + 1);
    }
    expect(Math.min(answers.get(1) ?? 0, answers.get(2) ?? 0)).toBeGreaterThanOrEqual(8);
    const { code, signal } = await command.kill('SIGTERM');
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    expect(place.lines('blocking', 'events').at(-1)).toMatchObject({ type: 'run_interrupted' });
  });

  it('tells scripts each stage and the address in JSON', async () => {
    const command = place.start('up', place.recipe('told'), '--threads', '1', '--json');
    const told = () =>
      command.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    await command.until(() => told().at(-1)?.type === 'serving');
    const [first, ...others] = told();
    expect(first).toMatchObject({ type: 'listening', url: expect.stringMatching(/^http:/) });
    const stages = others.filter((each) => each.type === 'stage_completed');
    const recorded = place.lines('told', 'events').filter((each) => each.type === 'stage_completed');
    expect(stages.map((each) => each.stage)).toEqual(recorded.map((each) => each.stage));
    expect(stages.map((each) => each.stage).slice(-2)).toEqual(['train', 'evaluate']);
    for (const { seconds } of stages) expect(seconds).toBeGreaterThan(0);
    const { model, dir, url } = others.at(-1);
    expect({ model, dir, url }).toEqual({ model: 'told', dir: place.latest('told'), url: first.url });
    expect(others.find((each) => each.type === 'evaluation').domains.prose.bits_per_byte).toBeGreaterThan(0);
    expect(others.find((each) => each.type === 'run_completed').run).toBe(place.run('told'));
    expect((await command.kill('SIGINT')).code).toBe(130);
  });

  it('finds its port taken before it does any work', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const port = String((other.address() as { port: number }).port);
    const { code, stderr } = await place.call('up', place.recipe('blocked'), '--port', port);
    other.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error\[port_in_use\]: .*--port/);
    expect(existsSync(place.run('blocked'))).toBe(false);
  });
});

describe('dabarex serve RUN', () => {
  it('serves as the recipe says, flags before it', async () => {
    const maxRequests = async (...flags: string[]) => {
      const command = place.start('serve', 'runs/served', '--json', '--threads', '1', ...flags);
      await command.until(() => command.stdout.endsWith('\n'));
      const { url } = JSON.parse(command.stdout);
      expect(new URL(url).port).not.toBe('8000');
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
      const refused = client.completions.create({ model: 'served', prompt: 'x', n: 100, max_tokens: 1 });
      const { message } = await refused.then(
        () => ({ message: 'none' }),
        (error: Error) => error,
      );
      expect((await command.kill('SIGTERM')).code).toBe(130);
      return Number(/more than the (\d+) this/.exec(message)?.[1]);
    };
    expect(await maxRequests()).toBe(1);
    expect(await maxRequests('--max-queue', '3', '--slots', '2')).toBe(5);
  });
});

describe('dabarex up --no-serve', () => {
  it('ends with a table and leaves the whole run directory', async () => {
    const { code, stdout } = await place.call('up', place.recipe('batch'), '--no-serve', '--threads', '2');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^held out +bits\/byte/);
    for (const domain of ['prose', 'notes']) expect(stdout).toMatch(new RegExp(`^${domain} +\\d`, 'm'));
    const files = [
      'recipe.yaml',
      'events.jsonl',
      'metrics.jsonl',
      'checkpoints',
      'tokenizer.json',
      'log.txt',
    ];
    expect(readdirSync(place.run('batch'))).toEqual(expect.arrayContaining(files));
    expect(readdirSync(place.latest('batch')).sort()).toEqual(
      expect.arrayContaining([
        'config.json',
        'generation_config.json',
        'model.safetensors',
        'tokenizer.json',
        'training',
      ]),
    );
    const recipe = parse(readFileSync(place.run('batch', 'recipe.yaml'), 'utf8'));
    expect(recipe).toMatchObject({ name: 'batch', train: { gradClip: 1, optimizer: { kind: 'adamw' } } });
    expect(readFileSync(place.run('batch', 'log.txt'), 'utf8')).toMatch(/step 40: loss/);
  });

  it('measures with keys that name their units', () => {
    const lines = place.lines('batch', 'metrics');
    const training = lines.find((each) => each.loss_train_nats !== undefined)!;
    const load = training['expert_load.1'] as number[];
    expect(load).toHaveLength(8);
    expect(Math.abs(load.reduce((sum, each) => sum + each, 0) - 1)).toBeLessThanOrEqual(8 * 5e-6);
    for (const key of [
      'time',
      'step',
      'tokens',
      'loss_train_nats',
      'bits_per_byte_train',
      'tokens_per_second',
      'mfu',
      'learning_rate',
      'grad_norm',
      'eta_seconds',
      'loss_balance',
      'loader_stall_fraction',
      'expert_load.0',
    ]) {
      expect(training).toHaveProperty([key]);
    }
    const evaluated = lines.filter((each) => each.loss_eval_nats !== undefined);
    expect(evaluated.map((each) => each.step)).toEqual([10, 20, 30, 40]);
    expect(evaluated[0]).toHaveProperty(['eval_bits_per_byte.prose']);
    expect(evaluated[0]).toHaveProperty(['eval_bits_per_byte.notes']);
  });

  it('tells its stages, phases, samples and checkpoints as events', () => {
    const events = place.lines('batch', 'events');
    const stages = events.filter((each) => each.type === 'stage_completed').map((each) => each.stage);
    // The run before has made the data: what is found finished has no events.
    expect(stages).toEqual(['train', 'evaluate']);
    const before = place.lines('served', 'events').filter((each) => each.type === 'stage_completed');
    expect(before.map((each) => each.stage).slice(0, 3)).toEqual(['prepare', 'tokenizer', 'shards']);
    const phases = events.filter((each) => each.type === 'phase_started').map((each) => each.step);
    expect(phases).toEqual([0, 20]);
    const types = new Set(events.map((each) => each.type));
    for (const type of ['run_started', 'sample', 'checkpoint_saved', 'evaluation', 'run_completed']) {
      expect(types).toContain(type);
    }
  });
});

describe('a finished run', () => {
  it('is looked at by eval without a word in its events', async () => {
    const before = place.lines('batch', 'events');
    const { code, stdout } = await place.call('eval', 'batch', '--tokens', '256', '--threads', '1', '--json');
    expect(code).toBe(0);
    expect(Object.keys(JSON.parse(stdout).domains).sort()).toEqual(['notes', 'prose']);
    expect(place.lines('batch', 'events')).toEqual(before);
  });

  it('is evaluated again where its evaluation is damaged, or of another number of tokens', async () => {
    const path = place.run('batch', 'evaluation.json');
    const whole = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, '{"step":');
    expect((await place.call('up', 'batch.yaml', '--no-serve')).code).toBe(0);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(whole);
    const fewer = ['--set', 'evaluate.maxTokens=64'];
    expect((await place.call('up', 'batch.yaml', '--no-serve', ...fewer)).code).toBe(0);
    const part = JSON.parse(readFileSync(path, 'utf8'));
    expect(part.maxTokens).toBe(64);
    expect(part.domains.prose.loss_nats).not.toBe(whole.domains.prose.loss_nats);
  });

  it('does not go on with another tokenizer when its text has changed', async () => {
    appendFileSync(join(place.dir, 'notes.txt'), 'zebra quartz vexes jumbo '.repeat(400));
    const { code, stderr } = await place.call('up', 'batch.yaml', '--no-serve');
    expect(code).toBe(1);
    expect(stderr).toMatch(/error\[checkpoint_mismatch\]: .*another tokenizer/);
  });
});

async function addressOf(command: RunningCommand): Promise<string> {
  await command.until(() => /http:\S+/.test(command.stdout));
  return /http:\S+/.exec(command.stdout)![0];
}

async function getJson(url: string) {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  return JSON.parse(await response.text());
}
