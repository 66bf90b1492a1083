/**
 * Near-duplicates at scale: `npm run bench -- dedup [--megabytes 100,1000]`. Prints for each size the speed of the survey (signatures, one thread)
 * and of the merge, per second of the clock and of the processor, the peak of memory, and recall and precision at the threshold 0.8 against
 * planted copies whose similarity is measured exactly. Recall counts planted copies at or above the threshold; precision, the dropped documents
 * that are at or above it to the one kept for them, or to the one they were copied from. Making the corpus is not timed.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DabarexError } from '../src/base/index.ts';
import type { Document } from '../src/prepare/documents.ts';
import { shingler } from '../src/prepare/text/duplicates/minhash.ts';
import { nearDuplicates } from '../src/prepare/text/duplicates/near.ts';
import { type Corpus, dedupCorpus } from './dedup-corpus.ts';
import type { Case } from './measure.ts';

const SHARD_BYTES = 16e6;
const MERGE_MEMORY_BYTES = 64 << 20;
const config = nearDuplicates.schema.parse({});

// biome-ignore lint/correctness/useYield: it prints a table of its own
export default async function* dedup(
  _kernels: unknown,
  options: { megabytes: readonly number[] },
): AsyncIterable<Case> {
  let corpus: Corpus;
  try {
    corpus = await dedupCorpus(join(homedir(), '.cache', 'dabarex', 'sources'));
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    console.log(`skipped: ${error.message}`);
    return;
  }
  for (const megabytes of options.megabytes)
    console.log(JSON.stringify(await measureSize(corpus, megabytes)));
}

async function measureSize(corpus: Corpus, megabytes: number): Promise<Record<string, number | string>> {
  const workDir = mkdtempSync(join(tmpdir(), 'dabarex-dedup-'));
  try {
    const map = new Clock();
    const paths: string[] = [];
    const shards: number[] = [0];
    let bytes = 0;
    while (bytes < megabytes * 1e6) {
      const documents = nextShard(corpus, shards.at(-1)!);
      shards.push(shards.at(-1)! + documents.length);
      for (const { text } of documents) bytes += Buffer.byteLength(text);
      const part = await map.during(() => nearDuplicates.survey!.map!(documents, config));
      paths.push(join(workDir, `part-${paths.length}`));
      writeFileSync(paths.at(-1)!, part);
    }
    const merge = new Clock();
    const summary = await merge.during(() =>
      nearDuplicates.survey!.merge(paths, config, { memoryBytes: MERGE_MEMORY_BYTES, workDir, sources: [] }),
    );
    const quality = await judge(corpus, shards, summary);
    return {
      bench: 'dedup',
      megabytes: bytes / 1e6,
      documents: shards.at(-1)!,
      survey_mb_per_cpu_second: bytes / 1e6 / map.cpuSeconds,
      survey_mb_per_second: bytes / 1e6 / map.seconds,
      merge_mb_per_cpu_second: bytes / 1e6 / merge.cpuSeconds,
      cpu_seconds_per_gb: ((map.cpuSeconds + merge.cpuSeconds) * 1e9) / bytes,
      peak_rss_mb: process.resourceUsage().maxRSS / 1024,
      ...quality,
    };
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}

function nextShard(corpus: Corpus, first: number): Document[] {
  const documents: Document[] = [];
  for (let bytes = 0; bytes < SHARD_BYTES; ) {
    documents.push(corpus.documentAt(first + documents.length));
    bytes += documents.at(-1)!.text.length;
  }
  return documents;
}

async function judge(corpus: Corpus, shards: readonly number[], summary: Uint8Array) {
  const transform = nearDuplicates.create(config, summary);
  const numberOf = new Map<string, number>();
  const similarity = exactSimilarity();
  let [planted, found, dropped, right] = [0, 0, 0, 0];
  for (let shard = 0; shard + 1 < shards.length; shard++) {
    for (let number = shards[shard]!; number < shards[shard + 1]!; number++) {
      const document = corpus.documentAt(number);
      numberOf.set(document.id, number);
      const origin = corpus.originOf(number);
      const toOrigin = origin === undefined ? 0 : similarity(document.text, corpus.documentAt(origin).text);
      const outcome = await transform(document, { shard, index: number - shards[shard]! });
      const isDropped = 'reject' in outcome;
      if (toOrigin >= config.threshold) planted++;
      if (toOrigin >= config.threshold && isDropped) found++;
      if (!isDropped) continue;
      dropped++;
      const kept = numberOf.get(outcome.detail!);
      const toKept = kept === undefined ? 0 : similarity(document.text, corpus.documentAt(kept).text);
      if (Math.max(toOrigin, toKept) >= config.threshold) right++;
    }
  }
  return {
    threshold: config.threshold,
    planted,
    dropped,
    recall: found / planted,
    precision: right / dropped,
  };
}

function exactSimilarity(): (a: string, b: string) => number {
  const shinglesOf = shingler(config);
  return (a, b) => {
    const [x, y] = [new Set(shinglesOf(a)), new Set(shinglesOf(b))];
    const common = [...x].filter((each) => y.has(each)).length;
    return common / (x.size + y.size - common);
  };
}

class Clock {
  seconds = 0;
  cpuSeconds = 0;

  async during<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const cpu = process.cpuUsage();
    const result = await work();
    const used = process.cpuUsage(cpu);
    this.cpuSeconds += (used.user + used.system) / 1e6;
    this.seconds += (performance.now() - start) / 1000;
    return result;
  }
}
