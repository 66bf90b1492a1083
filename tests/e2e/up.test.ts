/** The main job as a user meets it: one command, the page from its start, the model at its end. */
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
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

describe('dabarex up with its server', () => {
  it('shows the run from its start, then streams from the model, and ends by Ctrl-C', async () => {
    const recipe = place.recipe('served', { train: longer });
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

    const { code, signal, stderr } = await command.kill('SIGINT');
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+/);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
    expect(place.lines('served', 'events').at(-1)).toMatchObject({ type: 'run_completed' });
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
    expect(stages).toEqual(['prepare', 'tokenizer', 'shards', 'train', 'evaluate']);
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
