import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from 'cheerio';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfig, Rng } from '../../base/index.ts';
import { prepareConfigSchema } from '../config.ts';
import { type PreparedCorpus, type PrepareOptions, prepareCorpus } from '../corpus.ts';
import { renderReport } from '../report/report.ts';

const WORDS = {
  good: 'theorem harbour evidence chapter winter argument library meadow'.split(' '),
  bad: 'winner cash prize click guarantee million offer bonus'.split(' '),
  web: 'theorem cash harbour prize evidence click chapter million'.split(' '),
};
const FOOTER = 'Copyright of all pages is with the authors of them.';

let root: string;
let once: PreparedCorpus;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-figures-'));
  const rng = new Rng(5);
  for (const [kind, words] of Object.entries(WORDS)) {
    mkdirSync(join(root, kind));
    for (let i = 0; i < 60; i++) {
      const text = Array.from({ length: 40 }, () => words[rng.nextUint32() % words.length]).join(' ');
      writeFileSync(
        join(root, kind, `${i}.txt`),
        `${i % 10} ${i < 40 ? text : 'the same '.repeat(20)}\n\n${FOOTER}\n`,
      );
    }
  }
  once = await prepare('once');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function prepare(dir: string, options: Partial<PrepareOptions> = {}): Promise<PreparedCorpus> {
  const labels = { good: [{ url: 'file:good' }], bad: [{ url: 'file:bad' }] };
  const data = {
    domains: { web: { sources: [{ url: 'file:web' }] } },
    pipeline: [
      { stage: 'boilerplate' },
      { stage: 'classifier', ...labels, bits: 10, threshold: null },
      { stage: 'exact-duplicates' },
      { stage: 'length' },
    ],
  };
  const config = parseConfig(prepareConfigSchema, data, 'test');
  return prepareCorpus(config, { dir: join(root, dir), cacheDir: root, baseDir: root, ...options });
}

it('stand in the manifest, the same of one run and of two tasks', async () => {
  const figures = Object.fromEntries(once.manifest.stages.map((stage) => [stage.stage, stage.figures]));
  expect(figures).toEqual({
    read: undefined,
    boilerplate: { pieces: 1 },
    classifier: {
      train_documents: expect.any(Number),
      held_out_documents: expect.any(Number),
      held_out_accuracy: expect.any(Number),
      held_out_auc: expect.any(Number),
    },
    'exact-duplicates': { dropped: 10 },
    length: undefined,
    split: undefined,
  });
  expect(figures.classifier!.held_out_accuracy).toBeGreaterThan(0.7);
  const tasks = [0, 1].map((task) => prepare('tasks', { share: { task, of: 2 } }));
  for (const { manifest } of await Promise.all(tasks)) expect(manifest).toEqual(once.manifest);
});

it('are counted again where a summary was lost', async () => {
  const dir = join(root, 'once');
  rmSync(once.documentsDir, { recursive: true });
  const folder = readdirSync(join(dir, 'stages')).find((name) => name.startsWith('classifier-'))!;
  for (const name of ['manifest.json', 'summary']) rmSync(join(dir, 'stages', folder, name));
  expect((await prepare('once')).manifest).toEqual(once.manifest);
  expect(readdirSync(join(dir, 'stages', folder))).toContain('summary');
});

it('stand in the report', () => {
  const $ = load(renderReport('figures', once.documentsDir, once.manifest));
  const table = $('h2:contains("What surveys found")').next().find('tbody tr').toArray();
  const rows = table.map((row) =>
    $('td', row)
      .toArray()
      .map((cell) => $(cell).text()),
  );
  const { held_out_accuracy: accuracy } = once.manifest.stages[2]!.figures!;
  expect(rows[0]).toEqual(['boilerplate', 'pieces', '1']);
  expect(rows).toContainEqual(['', 'held out accuracy', accuracy === 1 ? '1' : accuracy!.toFixed(4)]);
});
