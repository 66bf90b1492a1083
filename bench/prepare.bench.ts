/**
 * Preparation of text: `npm run bench -- prepare [--threads 1,2]`. The quickstart's mix from cached sources, with two settings of `data.memory`,
 * and JSON Lines of 60 and 240 MB, so that it shows whether memory grows with the corpus. Each in a process of its own; held against
 * reading and hashing (sha256) as many bytes as there are of text. Skipped where a source is not cached and cannot be fetched.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Kernels } from '../src/tensor/index.ts';
import type { Case } from './measure.ts';
import { sampleOfSources } from './quickstart-text.ts';

const ONCE = fileURLToPath(new URL('./prepare-once.ts', import.meta.url));
const BLOCK_BYTES = 1 << 20;

// biome-ignore lint/correctness/useYield: it prints a table of its own
export default async function* prepare(kernels: Kernels): AsyncIterable<Case> {
  const threads = kernels.threads;
  const dir = mkdtempSync(join(tmpdir(), 'dabarex-prepare-bench-'));
  try {
    for (const memory of ['512MB', '2GB']) measureOnce('quickstart', 'quickstart', memory, threads, dir);
    const texts = await sampleOfSources(2e6);
    for (const megabytes of [60, 240]) {
      const recipe = writeRows(dir, texts, megabytes);
      for (const memory of ['512MB', '2GB'])
        measureOnce(`jsonl ${megabytes} MB`, recipe, memory, threads, dir);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function measureOnce(name: string, recipe: string, memory: string, threads: number, dir: string): void {
  const out = mkdtempSync(join(dir, 'out-'));
  const job = JSON.stringify({ recipe, dir: out, memory, threads });
  const child = spawnSync(process.execPath, ['--import', 'tsx', ONCE, job], {
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  });
  rmSync(out, { recursive: true, force: true });
  if (child.status !== 0) {
    console.log(`${name}: skipped: ${child.stderr.trim().split('\n').slice(0, 6).join(' ')}`);
    return;
  }
  const { seconds, cpuSeconds, peakMb, textBytes } = JSON.parse(child.stdout.trim().split('\n').at(-1)!);
  const limit = hashRate(dir, textBytes);
  console.log(
    JSON.stringify({
      bench: 'prepare',
      case: name,
      memory,
      threads,
      seconds,
      cpu_seconds: cpuSeconds,
      text_mb: textBytes / 1e6,
      value: textBytes / 1e6 / seconds,
      unit: 'MB/s',
      baseline: 'reading and hashing as many bytes',
      baselineValue: limit,
      ratio: textBytes / 1e6 / seconds / limit,
      peak_rss_mb: Math.round(peakMb),
    }),
  );
}

/** MB/s of reading a file of this size and hashing it. */
function hashRate(dir: string, sizeBytes: number): number {
  const path = join(dir, 'bytes');
  const block = Buffer.alloc(BLOCK_BYTES, 'text ');
  const file = openSync(path, 'w+');
  for (let at = 0; at < sizeBytes; at += BLOCK_BYTES) writeSync(file, block);
  const hash = createHash('sha256');
  const start = performance.now();
  for (let at = 0; at < sizeBytes; at += BLOCK_BYTES) {
    readSync(file, block, 0, BLOCK_BYTES, at);
    hash.update(block);
  }
  hash.digest();
  const seconds = (performance.now() - start) / 1000;
  closeSync(file);
  rmSync(path);
  return sizeBytes / 1e6 / seconds;
}

/** JSON Lines of about this size, no two rows equal, and a recipe for them. */
function writeRows(dir: string, texts: readonly string[], megabytes: number): string {
  const path = join(dir, `rows-${megabytes}.jsonl`);
  const file = openSync(path, 'w');
  let bytes = 0;
  for (let i = 0; bytes < megabytes * 1e6; i++) {
    const line = `${JSON.stringify({ text: `Row ${i}. ${texts[i % texts.length]}` })}\n`;
    bytes += writeSync(file, line);
  }
  closeSync(file);
  const recipe = join(dir, `rows-${megabytes}.yaml`);
  const source = JSON.stringify({ url: `file:${path}`, format: 'jsonl' });
  writeFileSync(recipe, `data:\n  domains:\n    rows: { sources: [${source}] }\n`);
  return recipe;
}
