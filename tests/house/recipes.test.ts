/** Every recipe is valid, named as its file, and described by `model info`. */
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../src/cli/run.suite.ts';
import { filesBelow, repository } from './repository.ts';

const recipes = filesBelow('recipes', /\.yaml$/);

describe('recipes', () => {
  it('are there', () => {
    expect(recipes).toContain('recipes/quickstart.yaml');
  });

  it.each(recipes)('%s is valid and named as its file', async (path) => {
    const needsVocabulary = path.includes('shakespeare') ? ['--set', 'model.vocabSize=65'] : [];
    const { code, stdout, stderr } = await run([
      'model',
      'info',
      join(repository, path),
      '--json',
      ...needsVocabulary,
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(stdout).name).toBe(basename(path, '.yaml'));
  });

  it('the siblings of quickstart use as many parameters a token, routers aside', async () => {
    const active = async (name: string) => {
      const { stdout } = await run(['model', 'info', join(repository, 'recipes', name), '--json']);
      const { model, parameters } = JSON.parse(stdout);
      return parameters.active - model.numLayers * model.ffn.numExperts * model.dModel;
    };
    const quickstart = await active('quickstart.yaml');
    expect(await active('quickstart-mixtral.yaml')).toBe(quickstart);
    expect(await active('quickstart-dense.yaml')).toBe(quickstart);
  });
});
