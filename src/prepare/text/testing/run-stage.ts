/** Runs a stage over documents as the pipeline does, on one thread: for tests and benches. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Document, identified } from '../../documents.ts';
import type { Outcome, TextStage } from '../stage.ts';

export interface RunOptions {
  readonly memoryBytes?: number;
  readonly sources?: readonly (readonly Document[])[];
}

/** The outcome of every document, in the order of the shards. */
export async function runStage<Config>(
  stage: TextStage<Config>,
  settings: unknown,
  shards: readonly (readonly Document[])[],
  options: RunOptions = {},
): Promise<Outcome[]> {
  const config = stage.schema.parse(settings) as Config;
  const summary = await surveyStage(stage, config, shards, options);
  const transform = stage.create(config, summary);
  const outcomes: Outcome[] = [];
  for (const [shard, documents] of shards.entries()) {
    for (const [index, document] of documents.entries()) {
      outcomes.push(await transform(document, { shard, index }));
    }
  }
  return outcomes;
}

/** The summary of a stage's survey over the shards; undefined where it has none. */
export async function surveyStage<Config>(
  stage: TextStage<Config>,
  config: Config,
  shards: readonly (Iterable<Document> | AsyncIterable<Document>)[],
  { memoryBytes = 1 << 28, sources = [] }: RunOptions = {},
): Promise<Uint8Array | undefined> {
  const { survey } = stage;
  if (!survey) return undefined;
  const dir = mkdtempSync(join(tmpdir(), 'dabarex-stage-'));
  try {
    const paths: string[] = [];
    for (const documents of survey.map ? shards : []) {
      const path = join(dir, `part-${paths.length}`);
      writeFileSync(path, await survey.map!(documents, config));
      paths.push(path);
    }
    return await survey.merge(paths, config, { memoryBytes, workDir: dir, sources });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Documents of one source with these texts; their paths are `0`, `1` ... */
export function documentsOf(texts: readonly string[], source = 'file:test'): Document[] {
  return texts.map((text, index) => identified({ source, path: String(index), text }));
}

/** The texts kept, and the reasons of those that were not. */
export function textsOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.map((each) => ('keep' in each ? each.keep.text : `(${each.reject})`));
}
