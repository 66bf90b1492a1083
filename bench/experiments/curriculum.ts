/**
 * Does a curriculum pay at this size? The quickstart's model, the same tokens and the same tokenizer, under mixes that
 * differ in when they are shown: `npx tsx bench/experiments/curriculum.ts --out FILE [--seeds 1,2,3] [--duration 1.5Mtok]`.
 *
 *   base         the base mix throughout
 *   anneal20     the base mix for 80 %, then the anneal mix while the learning rate falls
 *   anneal10     the same with 90 % and 10 %
 *   blend20      the average mix of anneal20 throughout: the same proportions in no order
 *
 * After arXiv 2406.03476, where a domain is upsampled at the end of training. Beside the domains of the quickstart
 * stands synthetic arithmetic, rare in the base mix and five times as frequent in the anneal mix. Every run appends one
 * line of JSON for each held-out domain (bits per byte) and one for sums that no document holds (exact matches);
 * a run that FILE has already is left out, so that the whole can be done in pieces.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { philox, Rng } from '../../src/base/index.ts';
import { corpusConfigOf } from '../../src/cli/data-config.ts';
import { loadRecipe, type Recipe, requirePart } from '../../src/cli/recipe.ts';
import type { DomainData, TokenData } from '../../src/cli/stages/data.ts';
import { evaluateDomains } from '../../src/cli/stages/evaluation.ts';
import { codecOf, Engine } from '../../src/infer/index.ts';
import { completeModelConfig, Generator, Transformer } from '../../src/model/index.ts';
import { createOptimizer } from '../../src/optim/index.ts';
import { prepareCorpus, tokenizeCorpus, trainCorpusTokenizer } from '../../src/prepare/index.ts';
import { StreamingDataset } from '../../src/stream/index.ts';
import { createKernels, resolvePrecision } from '../../src/tensor/index.ts';
import { Curriculum, curriculumSchema, Trainer } from '../../src/train/index.ts';

const BASE = { prose: 0.3, code: 0.25, docs: 0.08, maths: 0.15, reference: 0.1, arithmetic: 0.02 };
const ANNEAL = { prose: 0.2, code: 0.2, docs: 0.1, maths: 0.25, reference: 0.25, arithmetic: 0.1 };
const ARMS = {
  base: [{ duration: 'rest', weights: BASE }],
  anneal20: [
    { duration: '0.8dur', weights: BASE },
    { duration: 'rest', weights: ANNEAL },
  ],
  anneal10: [
    { duration: '0.9dur', weights: BASE },
    { duration: 'rest', weights: ANNEAL },
  ],
  blend20: [{ duration: 'rest', weights: blended(0.8, BASE, ANNEAL) }],
};
type Arm = keyof typeof ARMS;

const NUM_DOCUMENTS = 4000;
const LINES_PER_DOCUMENT = 40;
const NUM_SUMS = 400;
/** of every held-out domain */
const EVAL_TOKENS = 60_000;
/** one problem in so many is kept out of every document */
const KEPT_OUT = 20;

interface Problem {
  readonly question: string;
  readonly answer: string;
}

const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: 'bench/results/curriculum.jsonl' },
    work: { type: 'string', default: join(homedir(), '.cache', 'dabarex') },
    seeds: { type: 'string', default: '1,2,3' },
    arms: { type: 'string', default: Object.keys(ARMS).join(',') },
    duration: { type: 'string', default: '1.5Mtok' },
    threads: { type: 'string', default: '2' },
    commit: { type: 'string', default: '' },
  },
});
const recipe = recipeWithArithmetic(options.work);
const data = await tokenDataOf(recipe);
for (const seed of options.seeds.split(',').map(Number)) {
  for (const arm of options.arms.split(',') as Arm[]) {
    if (!isDone(arm, seed)) await runArm(arm, seed);
  }
}

/** The mix of `share` of the one and the rest of the other, each as proportions. */
function blended<T extends Record<string, number>>(share: number, one: T, other: T): T {
  const sum = (weights: T) => Object.values(weights).reduce((a, b) => a + b, 0);
  const of = (name: string) => (share * one[name]!) / sum(one) + ((1 - share) * other[name]!) / sum(other);
  return Object.fromEntries(Object.keys(one).map((name) => [name, of(name)])) as T;
}

function problemAt(rng: Rng): Problem {
  const [first, second] = [rng.below(100), rng.below(100)];
  switch (rng.below(3)) {
    case 0:
      return { question: `${first} + ${second} =`, answer: `${first + second}` };
    case 1: {
      const [high, low] = [Math.max(first, second), Math.min(first, second)];
      return { question: `${high} - ${low} =`, answer: `${high - low}` };
    }
    default:
      return { question: `${first % 13} * ${second % 13} =`, answer: `${(first % 13) * (second % 13)}` };
  }
}

/** Decided by the question alone, so that a problem is in no document or may be in any. */
function isKeptOut({ question }: Problem): boolean {
  let hash = 0;
  for (let i = 0; i < question.length; i++) hash = (Math.imul(hash, 31) + question.charCodeAt(i)) >>> 0;
  return philox(2406, 3476, hash)[0]! % KEPT_OUT === 0;
}

function problems(count: number, stream: number, keptOut: boolean): Problem[] {
  const rng = new Rng(2406, stream);
  const found: Problem[] = [];
  while (found.length < count) {
    const problem = problemAt(rng);
    if (isKeptOut(problem) === keptOut) found.push(problem);
  }
  return found;
}

function recipeWithArithmetic(work: string): Recipe {
  const folder = join(work, 'experiments', 'arithmetic');
  mkdirSync(folder, { recursive: true });
  const lines = problems(NUM_DOCUMENTS * LINES_PER_DOCUMENT, 1, false).map(
    ({ question, answer }) => `${question} ${answer}\n`,
  );
  for (let d = 0; d < NUM_DOCUMENTS; d++) {
    const path = join(folder, `${String(d).padStart(4, '0')}.txt`);
    const text = lines.slice(d * LINES_PER_DOCUMENT, (d + 1) * LINES_PER_DOCUMENT).join('');
    if (!existsSync(path)) writeFileSync(path, text);
  }
  const source = `[{url: "file:${folder}#*.txt", format: text}]`;
  return loadRecipe('quickstart', [`data.domains.arithmetic.sources=${source}`]);
}

/** One tokenizer for all arms, trained on the base mix. */
async function tokenDataOf({ data: prepare, tokenizer, train }: Recipe): Promise<TokenData> {
  const dir = join(options.work, 'data');
  const common = { byKey: true };
  const { documentsDir } = await prepareCorpus(corpusConfigOf(prepare!), {
    ...common,
    dir,
    cacheDir: join(options.work, 'sources'),
  });
  const trained = await trainCorpusTokenizer(tokenizer!, {
    ...common,
    documentsDir,
    outDir: join(dir, 'tokenizers'),
    weights: blended(1, BASE, BASE),
  });
  const { shardsDir, manifest } = await tokenizeCorpus({
    ...common,
    documentsDir,
    tokenizerPath: trained.path,
    sampleTokens: train!.sequenceLength + 1,
    outDir: join(dir, 'shards'),
    threads: Number(options.threads),
  });
  const { sequenceLength } = train!;
  const domains = Object.entries(manifest.domains).map(([name, parts]): [string, DomainData] => [
    name,
    {
      samples: parts.train.samples,
      bytesPerToken: parts.train.bytesPerToken,
      train: join(shardsDir, 'train', name),
      heldout: join(shardsDir, 'heldout', name),
      heldoutSamples: parts.heldout.samples,
    },
  ]);
  const { tokenizer: bpe } = trained;
  return {
    documentsDir,
    tokenizer: bpe,
    key: manifest.key,
    origin: {
      documents_key: manifest.corpusKey,
      shards_key: manifest.key,
      tokenizer_sha256: manifest.tokenizerSha256,
    },
    sequenceLength,
    domains: Object.fromEntries(domains),
  };
}

function isDone(arm: Arm, seed: number): boolean {
  if (!existsSync(options.out)) return false;
  const rows = readFileSync(options.out, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { arm: string; seed: number; duration: string; case: string });
  return rows.some(
    (row) =>
      row.arm === arm &&
      row.seed === seed &&
      row.duration === options.duration &&
      row.case === 'arithmetic, exact match',
  );
}

async function runArm(arm: Arm, seed: number): Promise<void> {
  const started = performance.now();
  const kernels = createKernels({ threads: Number(options.threads) });
  const config = {
    ...requirePart(recipe, 'train'),
    duration: options.duration,
    evalInterval: '1dur',
    sampleInterval: '1dur',
    checkpointInterval: '1dur',
  };
  const precision = resolvePrecision(kernels, config.precision);
  const modelConfig = completeModelConfig(requirePart(recipe, 'model'), data.tokenizer.vocabSize);
  const model = new Transformer(modelConfig, kernels, { precision, trainable: true, seed });
  const streams = Object.entries(data.domains).map(([domain, { train }]) => [domain, train]);
  const stream = new StreamingDataset({
    streams: Object.fromEntries(streams),
    seed,
    endOfText: data.tokenizer.endOfTextId,
  });
  const trainer = new Trainer({
    model,
    data: stream,
    optimizer: createOptimizer(model.parameters, config.optimizer, kernels, precision),
    config,
    curriculum: new Curriculum(curriculumSchema.parse(ARMS[arm]), config),
    clock: () => performance.now() / 1000,
  });
  await trainer.run();
  stream.close();
  const { sequenceLength } = config;
  const domains = await evaluateDomains(model, data, { sequenceLength, maxTokens: EVAL_TOKENS });
  const common = { bench: 'curriculum', arm, seed, duration: options.duration, commit: options.commit };
  const rows = Object.entries(domains).map(([domain, { bits_per_byte }]) => ({
    ...common,
    case: `${domain}, held out`,
    value: bits_per_byte,
    unit: 'bits/byte',
  }));
  const share = await exactMatches(model);
  rows.push({ ...common, case: 'arithmetic, exact match', value: share, unit: 'share of sums' });
  appendFileSync(options.out, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  const shown = rows.map((row) => `${row.case} ${row.value.toFixed(3)}`).join('; ');
  console.log(`${arm}, seed ${seed}, ${minutes} min: ${shown}`);
}

/** Greedy answers to problems that no document holds, each after four that documents may hold. */
async function exactMatches(model: Transformer): Promise<number> {
  const engine = new Engine(new Generator(model), codecOf(data.tokenizer, { chatTemplate: 'none' }), {
    slots: 16,
  });
  const shots = problems(4 * NUM_SUMS, 2, false);
  const asked = problems(NUM_SUMS, 3, true);
  const isRight = async ({ question, answer }: Problem, i: number) => {
    const examples = shots.slice(4 * i, 4 * i + 4).map((shot) => `${shot.question} ${shot.answer}\n`);
    const prompt = { text: `${examples.join('')}${question}` };
    let text = '';
    for await (const event of engine.generate({ prompt, maxTokens: 8, temperature: 0, stop: ['\n'] })) {
      if (event.type === 'delta') text += event.text;
    }
    return text.trim() === answer;
  };
  const right: boolean[] = [];
  for (let i = 0; i < asked.length; i += 16) {
    right.push(...(await Promise.all(asked.slice(i, i + 16).map((each, j) => isRight(each, i + j)))));
  }
  engine.close();
  return right.filter(Boolean).length / NUM_SUMS;
}
