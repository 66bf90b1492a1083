import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { run } from '../run.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'dabarex-profile-'));
afterAll(() => rmSync(folder, { recursive: true }));
const places = { cwd: folder, runsDir: join(folder, 'runs'), cacheDir: join(folder, 'cache'), threads: 2 };
const words = Array.from({ length: 600 }, (_, i) => `Sentence ${i} is about number ${i * 7}.`);
writeFileSync(join(folder, 'text.txt'), words.join('\n'));
writeFileSync(
  join(folder, 'tiny.yaml'),
  `
data: { heldOut: { kind: tail, fraction: 0.1 }, domains: { prose: { sources: [{ url: "file:text.txt" }] } } }
tokenizer: { kind: bpe, vocabSize: 300 }
model: { dModel: 32, numLayers: 2, numHeads: 4, maxSeqLen: 32, ffn: { hidden: 32, numExperts: 4, topK: 2 } }
train: { duration: 1step, sequenceLength: 32, batchSequences: 4, microbatchSequences: 2 }
`,
);

it('profiles a recipe without data on random tokens, as JSON', async () => {
  const { code, stdout } = await run(
    ['profile', 'tiny.yaml', '--steps', '2', '--warmup', '1', '--json'],
    places,
  );
  expect(code).toBe(0);
  const profile = JSON.parse(stdout);
  expect(profile).toMatchObject({ recipe: 'tiny', data: 'random', tokens_per_step: 128, threads: 2 });
  expect(profile.mfu).toBeCloseTo(
    (profile.tokens_per_second * profile.flops_per_token) / profile.limits.peak_flops[profile.precision],
    9,
  );
  const { report } = profile;
  expect(report.steps).toBe(2);
  const names = report.kernels.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(['gemmPacked', 'groupedGemmPacked', 'adamw']));
  const shares = report.kernels.reduce((sum: number, { share }: { share: number }) => sum + share, 0);
  expect(shares + report.outside.share + report.profiler.share).toBeCloseTo(1, 6);
  expect(profile.process_bytes).toBeGreaterThan(report.memory.total_bytes);
});

it('takes the tokens of a run that has prepared them; prints tables and writes a trace', async () => {
  const trained = await run(['train', 'tiny.yaml'], places);
  expect(trained.code, trained.stderr).toBe(0);
  const args = ['profile', 'tiny.yaml', '--steps', '1', '--warmup', '0', '--trace', 'trace.json'];
  const { code, stdout, stderr } = await run(args, places);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^tiny: 1 training step of 128 tokens, random weights, its prepared data; \S+, /);
  expect(stdout).toMatch(/\n\(tape and JavaScript\) +- +[\d.]+ +[\d.]+ %/);
  expect(stdout).toMatch(/\nstep +- +[\d.]+ +100\.0 %/);
  expect(stdout).toMatch(/\noptimizer +[\d.]+/);
  expect(stdout).toMatch(/\nblocks\.\*\.experts\.gate_up +/);
  expect(stdout).toMatch(/memory at the high-water mark: \S+ [kM]B/);
  expect(stderr).toContain(join(folder, 'trace.json'));
  const { traceEvents } = JSON.parse(readFileSync(join(folder, 'trace.json'), 'utf8'));
  const categories = new Set(traceEvents.map(({ cat }: { cat?: string }) => cat));
  expect(categories).toEqual(new Set([undefined, 'step', 'phase', 'layer', 'kernel']));
  const random = await run([...args.slice(0, -2), '--random-tokens', '--json'], places);
  expect(JSON.parse(random.stdout).data).toBe('random');
});

it('needs a recipe with a model to train', async () => {
  const { code, stderr } = await run(['profile', 'dbrx-132b'], places);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error\[config_invalid\]: .*"train"/);
});
