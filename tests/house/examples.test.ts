/** The examples run as they stand, from source, and stay short. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { filesBelow, readText, repository } from './repository.ts';

const examples = filesBelow('examples', /\.ts$/);

describe('examples', () => {
  it('are there', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  it.each(examples)('%s has fewer than 60 lines and uses the package as others do', (path) => {
    const text = readText(path);
    expect(text.split('\n').length - 1).toBeLessThan(60);
    expect(text).toMatch(/from 'dabarex\//);
    expect(text).not.toMatch(/from '\.\.?\//);
  });

  it.each(examples)('%s runs', { timeout: 180_000 }, async (path) => {
    const tsx = join(repository, 'node_modules/tsx/dist/cli.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, [tsx, join(repository, path)], {
      cwd: repository,
    });
    expect(stdout).not.toBe('');
    if (path.endsWith('04-train-moe.ts')) {
      const losses = [...stdout.matchAll(/"loss_train_nats":([\d.]+)/g)].map((match) => Number(match[1]));
      expect(losses.length).toBeGreaterThan(2);
      expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
    }
  });
});
