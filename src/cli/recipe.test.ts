import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { applyOverrides } from './overrides.ts';
import { loadRecipe, requirePart } from './recipe.ts';

const folder = mkdtempSync(join(tmpdir(), 'dabarex-recipe-'));
afterAll(() => rmSync(folder, { recursive: true }));

function recipeFile(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const base = recipeFile(
  'base.yaml',
  `
seed: 3
model: { dModel: 64, numLayers: 2, numHeads: 4, maxSeqLen: 32, ffn: { hidden: 64, numExperts: 4, topK: 2 } }
train: { duration: 100step, sequenceLength: 32, batchSequences: 4, prompts: [one, two] }
`,
);

describe('loadRecipe', () => {
  it('names a recipe by its file and fills in defaults', () => {
    const recipe = loadRecipe(base);
    expect(recipe).toMatchObject({
      name: 'base',
      seed: 3,
      model: { family: 'dbrx' },
      train: { gradClip: 1 },
    });
    expect(Object.isFrozen(recipe.model!.ffn)).toBe(true);
  });

  it('applies overrides: YAML values, nested keys, lists', () => {
    const recipe = loadRecipe(base, [
      'model.ffn.topK=3',
      'model.clipQkv=null',
      'train.prompts.1=zwei',
      'name=other',
    ]);
    expect(recipe).toMatchObject({
      name: 'other',
      model: { clipQkv: null, ffn: { topK: 3, numExperts: 4 } },
    });
    expect(recipe.train!.prompts).toEqual(['one', 'zwei']);
  });

  it('lays a recipe over the one it extends: mappings merge, lists are replaced', () => {
    const file = recipeFile(
      'dense.yaml',
      'extends: base.yaml\nmodel: {ffn: {numExperts: 1, topK: 1}}\ntrain: {prompts: []}\n',
    );
    const recipe = loadRecipe(file);
    expect(recipe).toMatchObject({
      name: 'dense',
      seed: 3,
      model: { dModel: 64, ffn: { hidden: 64, numExperts: 1 } },
    });
    expect(recipe.train!.prompts).toEqual([]);
  });

  it('finds the recipes of the package by name', () => {
    expect(loadRecipe('dbrx-132b', [], folder).model!.dModel).toBe(6144);
  });

  it.each([
    ['a missing file', 'no.yaml', [], 'file_missing', /no\.yaml/],
    [
      'a missing base',
      recipeFile('orphan.yaml', 'extends: gone.yaml\n'),
      [],
      'file_missing',
      /gone\.yaml.*orphan\.yaml/,
    ],
    ['a circle', recipeFile('circle.yaml', 'extends: circle.yaml\n'), [], 'config_invalid', /extends itself/],
    ['broken YAML', recipeFile('broken.yaml', 'model: [1\n'), [], 'config_invalid', /broken\.yaml.*line/],
    ['a tag nobody knows', recipeFile('tag.yaml', 'name: !!js/function "x"\n'), [], 'config_invalid', /tag/],
    ['an alias of nothing', recipeFile('alias.yaml', 'name: *x\n'), [], 'config_invalid', /alias/],
    ['a --set of a prototype', base, ['train.__proto__.x=1'], 'config_invalid', /__proto__/],
    [
      'a --set of a prototype in a free mapping',
      base,
      ['data.domains.__proto__=1'],
      'config_invalid',
      /__proto__/,
    ],
    ['a list for a recipe', recipeFile('list.yaml', '- 1\n'), [], 'config_invalid', /mapping/],
    [
      'an unknown key',
      base,
      ['train.durations=1step'],
      'config_unknown_key',
      /"train\.durations".*"train\.duration"/,
    ],
    ['a value out of range', base, ['model.dModel=-1'], 'config_invalid', /model\.dModel/],
    ['a --set without =', base, ['train.duration'], 'config_invalid', /path=value/],
    ['a --set with an empty key', base, ['train..duration=1'], 'config_invalid', /path=value/],
    ['a --set whose value is no YAML', base, ['name="a'], 'config_invalid', /no YAML/],
    ['an index past a list', base, ['train.prompts.7=x'], 'config_invalid', /0 to 2/],
    ['a name that is a path', base, ['name=../x'], 'config_invalid', /name/],
  ] as const)('refuses %s', (_, path, sets, code, message) => {
    expect(() => loadRecipe(path, [...sets], folder)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

it('requirePart names the part a recipe lacks', () => {
  expect(() => requirePart(loadRecipe('dbrx-9b'), 'train')).toThrow(/dbrx-9b has no part "train"/);
});

it('overrides leave the document as it was', () => {
  const document = { a: { b: [1, 2] } };
  expect(applyOverrides(document, ['a.b.2=3', 'a.c.d=true'])).toEqual({
    a: { b: [1, 2, 3], c: { d: true } },
  });
  expect(document).toEqual({ a: { b: [1, 2] } });
});

describe('the data of a recipe', () => {
  const refusal = (data: object, more: object = {}) => {
    const file = recipeFile('data.yaml', JSON.stringify({ data, ...more }));
    try {
      loadRecipe(file);
    } catch (error) {
      expect(error).toMatchObject({ code: 'config_invalid' });
      return (error as Error).message;
    }
    return 'accepted';
  };
  const shards = { train: { prose: 's3://b/prose', code: '/data/code' }, heldout: { prose: 's3://b/held' } };
  const domains = { prose: { sources: [{ url: 'file:x' }] } };

  it('is text, or token shards with their tokenizer', () => {
    const tokenizer = { kind: 'file', path: 'tokenizer.json' };
    expect(refusal({ shards, stream: { cacheLimit: '10GB', packing: 'bestFit' } }, { tokenizer })).toBe(
      'accepted',
    );
    expect(refusal({ domains })).toBe('accepted');
    expect(refusal({})).toMatch(/data\.domains: missing; name domains, or shards/);
    expect(refusal({ domains, shards })).toMatch(/data\.shards: stands in place of domains/);
    expect(refusal({ shards }, { tokenizer: { kind: 'char' } })).toMatch(/tokenizer\.kind: there is no text/);
    expect(refusal({ shards: { ...shards, heldout: { verse: 'x' } } })).toMatch(
      /heldout\.verse: no training data.*prose, code/,
    );
    expect(refusal({ shards: { train: {} } })).toMatch(/data\.shards\.train: name at least one/);
    expect(refusal({ domains, stream: { packing: 'bestFit' } })).toMatch(/data\.stream\.packing/);
    expect(refusal({ shards, stream: { cacheLimit: '10 gallons' } })).toMatch(
      /cacheLimit: write a number and a unit/,
    );
  });

  it('is text files, with a tokenizer that is there', () => {
    const tokenizer = { kind: 'file', path: 'tokenizer.json' };
    const text = (prose: object | string, more: object = {}) =>
      refusal({ shards: { train: { prose, code: '/data/code' } }, ...more }, { tokenizer });
    expect(text({ files: ['texts/*.jsonl', 's3://bucket/t/*.jsonl', 'npm:a@1.0.0#**'] })).toBe('accepted');
    expect(text({ files: ['a.gz'], format: 'jsonl', textField: 'body' })).toBe('accepted');
    expect(text({ files: [] })).toMatch(/train\.prose\.files: \[\] must be a list of at least 1/);
    expect(text('')).toMatch(/train\.prose: "" must be text of at least 1/);
    expect(text({ files: ['[z-a]'] })).toMatch(/prose\.files\.0: The pattern "\[z-a\]" cannot be read/);
    expect(text({ files: ['https://host/*.jsonl#x'] })).toMatch(/files\.0: .*name its files one by one/);
    expect(text({ files: ['ftp://host/a.txt'] })).toMatch(/prose\.files\.0: .*"ftp:" is not known/);
    expect(text({ files: ['a.csv'], format: 'csv' })).toMatch(/prose\.format: "csv" must be "jsonl" or/);
    expect(() => loadRecipe(base, ['data={shards: {train: {a: {files: [x.txt], textFeild: b}}}}'])).toThrow(
      /unknown key "data\.shards\.train\.a\.textFeild"\. Did you mean "data\.shards\.train\.a\.textField"/,
    );
    const packed = { stream: { packing: 'bestFit' } };
    expect(text({ files: ['a.txt'] }, packed)).toMatch(/packing: text files \(data\.shards\.train\.prose\)/);
    expect(
      refusal({ shards: { train: { a: { files: ['a.txt'] } } } }, { tokenizer: { kind: 'char' } }),
    ).toMatch(/tokenizer\.kind: text files are read with a tokenizer that is there already: kind: file/);
  });

  it("takes a mix under MosaicML's orders once, and no ramp", () => {
    const curriculum = [
      { duration: '0.5dur', weights: { prose: 1 } },
      { duration: 'rest', weights: { code: 1 } },
    ];
    const stream = { shuffle: 'py1e', shares: { prose: { proportion: 1 } } };
    const tokenizer = { kind: 'file', path: 'tokenizer.json' };
    const mosaic = (data: object) => refusal({ shards, ...data }, { tokenizer });
    expect(mosaic({ stream })).toBe('accepted');
    expect(mosaic({ stream: { shuffle: 'py1e' }, curriculum })).toBe('accepted');
    expect(mosaic({ stream, curriculum })).toMatch(
      /data\.stream\.shares: the curriculum says the mix; give one/,
    );
    const ramped = [curriculum[0], { ...curriculum[1], ramp: 'linear' }];
    expect(mosaic({ stream: { shuffle: 'naive' }, curriculum: ramped })).toMatch(
      /data\.curriculum\.1\.ramp: under MosaicML's orders every mix begins an epoch.*choose shuffle: block/,
    );
    expect(mosaic({ curriculum: ramped })).toBe('accepted');
    expect(mosaic({ stream: { shuffle: 'py1e', shares: { verse: { repeat: 2 } } } })).toMatch(
      /stream\.shares\.verse: the data has no such domain/,
    );
  });

  it('knows the domains of its shards', () => {
    const curriculum = [{ duration: 'rest', weights: { verse: 1 } }];
    expect(refusal({ shards, curriculum })).toMatch(
      /weights\.verse: the data has no such domain; it has prose, code/,
    );
  });
});
