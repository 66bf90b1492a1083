/** The shards of the split joined to the files of a corpus, a shard at a time in memory. */
import { join } from 'node:path';
import { writeFilePartsAtomic } from '../../base/index.ts';
import type { Document } from '../documents.ts';
import { describeFile, type ManifestFile } from '../manifest.ts';
import { SPLITS, type Split } from '../split.ts';
import type { SplitManifest } from './run-split.ts';
import { type Shard, shardLines, unpackedShard } from './shard-file.ts';
import type { OpenedSource } from './sources.ts';

/** Writes `{train,heldout}/DOMAIN.jsonl` and `heldout/DOMAIN.txt` for every domain. @throws disk_full, documents_invalid */
export function publishCorpus(
  sources: readonly OpenedSource[],
  { parts }: SplitManifest,
  stagesDir: string,
  folder: string,
  { signal }: { readonly signal?: AbortSignal },
): ManifestFile[] {
  const files: ManifestFile[] = [];
  const write = (path: string, content: Iterable<Uint8Array>) => {
    signal?.throwIfAborted();
    writeFilePartsAtomic(join(folder, path), content);
    files.push(describeFile(folder, path));
  };
  for (const domain of new Set(sources.map((each) => each.domain))) {
    const own = parts.filter(({ source }) => sources[source]!.domain === domain);
    const shardsOf = (split: Split) => own.flatMap((part) => part[split] ?? []);
    for (const split of SPLITS) write(`${split}/${domain}.jsonl`, linesOf(shardsOf(split), stagesDir));
    write(`heldout/${domain}.txt`, textsOf(shardsOf('heldout'), stagesDir));
  }
  return files;
}

function* linesOf(shards: readonly Shard[], stagesDir: string): Generator<Uint8Array> {
  for (const shard of shards) yield unpackedShard(stagesDir, shard);
}

function* textsOf(shards: readonly Shard[], stagesDir: string): Generator<Uint8Array> {
  for (const shard of shards) {
    for (const line of shardLines(stagesDir, shard)) {
      yield Buffer.from((JSON.parse(line.toString('utf8')) as Document).text);
    }
  }
}
