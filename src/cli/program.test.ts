import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandPaths, run } from './run.suite.ts';

describe('the command line', () => {
  it('describes the published DBRX without allocating it', async () => {
    const { code, stdout } = await run(['model', 'info', 'dbrx-132b', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).parameters).toMatchObject({ total: 131_596_523_520, active: 36_469_708_800 });
  });

  it.each([
    ['dbrx-9b', 9.17e9, 2.83e9],
    ['dbrx-18b', 18.61e9, 5.53e9],
    ['dbrx-35b', 35.65e9, 10.29e9],
    ['dbrx-73b', 73.51e9, 20.66e9],
  ])('counts %s', async (name, total, active) => {
    const { parameters } = JSON.parse((await run(['model', 'info', name, '--json'])).stdout);
    expect(Math.abs(parameters.total - total)).toBeLessThan(0.005e9);
    expect(Math.abs(parameters.active - active)).toBeLessThan(0.005e9);
  });

  it('draws a table for people', async () => {
    const { stdout } = await run(['model', 'info', 'dbrx-132b']);
    expect(stdout).toContain('16 experts, 4 per token');
    expect(stdout).toMatch(/parameters, total +131,596,523,520/);
  });

  it('prints a coded error without a stack, and exit code 1', async () => {
    const { code, stderr } = await run(['model', 'info', 'dbrx-9b', '--set', 'model.ffn.topk=3']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error\[config_unknown_key\]: .*"model\.ffn\.topK"/);
    expect(stderr).not.toContain('    at ');
  });

  it('adds the stack with --debug', async () => {
    const { stderr } = await run(['model', 'info', 'no.yaml', '--debug']);
    expect(stderr).toMatch(/error\[file_missing\].*\n[\s\S]*\n {4}at /);
  });

  it('prints an error as JSON with --json', async () => {
    const { stderr } = await run(['model', 'info', 'no.yaml', '--json']);
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'file_missing' });
  });

  it.each([
    [['modle'], /unknown command 'modle'[\s\S]*Did you mean model/],
    [['model', 'info', 'dbrx-9b', '--jsn'], /unknown option '--jsn'[\s\S]*Did you mean --json/],
    [['model', 'info'], /missing required argument/],
    [['serve', 'quickstart', '--port', '99999'], /0 to 65535/],
  ])('%j is wrong usage: exit code 2 and the nearest word', async (args, message) => {
    const { code, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  it.each([
    [['model', 'inf', '--json'], 'unknownCommand', /unknown command 'inf' \(Did you mean info\?\)/],
    [['model', 'info', '--json'], 'missingArgument', /missing required argument/],
    [['model', 'info', 'dbrx-9b', '--json', '--sequence-length', '0'], 'invalidArgument', /at least 1/],
    [['model', 'info', 'dbrx-9b', '--json', '--sequence-length', 'abc'], 'invalidArgument', /whole number/],
    [['model', '--json'], 'unknownOption', /unknown option/],
  ])('%j is wrong usage as JSON', async (args, problem, message) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    const { error } = JSON.parse(stderr);
    expect(error).toMatchObject({ code: 'usage_invalid', fields: { problem } });
    expect(error.message).toMatch(message);
  });

  it('prints keys of JSON in snake_case, those of a recipe as they are in a recipe', async () => {
    const info = JSON.parse(
      (await run(['model', 'info', 'dbrx-9b', '--json', '--sequence-length', '64'])).stdout,
    );
    expect(info).toMatchObject({ sequence_length: 64, model: { dModel: 2048 } });
    expect(info.flops_per_token.training).toBe(3 * info.flops_per_token.forward);
    expect(info.memory.weights_bf16_bytes).toBe(2 * info.parameters.total);
  });

  it('says what model info wants of a recipe whose vocabulary nobody has counted', async () => {
    const { code, stderr } = await run(['model', 'info', 'shakespeare']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error\[config_invalid\]: The vocabulary of shakespeare .*--set model\.vocabSize=65/,
    );
  });

  it('refuses to train a recipe that lacks a part before anything is made', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'dabarex-program-'));
    const places = { cwd, runsDir: join(cwd, 'runs'), cacheDir: join(cwd, 'cache') };
    for (const args of [
      ['train', 'dbrx-9b'],
      ['up', 'dbrx-132b', '--port', '0'],
    ]) {
      const { code, stderr } = await run(args, places);
      expect(code).toBe(1);
      expect(stderr).toMatch(/error\[config_invalid\]: Recipe dbrx-\w+ has no part "data"/);
    }
    expect(readdirSync(cwd)).toEqual([]);
    rmSync(cwd, { recursive: true });
  });

  it('names the recipe that was meant', async () => {
    const { stderr } = await run(['train', 'quickstar']);
    expect(stderr).toMatch(/error\[file_missing\].*Did you mean quickstart\?/);
  });

  it('has help with examples on every command', async () => {
    for (const path of commandPaths()) {
      const { code, stdout } = await run([...path, '--help']);
      expect(code, path.join(' ')).toBe(0);
      expect(stdout, path.join(' ')).toContain('Examples:\n  $ dabarex');
    }
  });
});
