/**
 * One index over several data sets, as `merge_index` of MosaicML Streaming: the shards of all in the order given, each named by the folder of its
 * index and its name there. Shards are not touched, nor looked for: a merged index may be made of indexes alone.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DabarexError, fileError, writeFileAtomic } from '../base/index.ts';
import { readMdsIndex } from './mds-index.ts';
import { compareCodePoints, pythonJson } from './python-text.ts';

export interface MergedIndex {
  readonly path: string;
  readonly numIndexes: number;
  readonly numShards: number;
  readonly numSamples: number;
}

/**
 * Writes `out/index.json`, whole or not at all.
 * @param sources index.json files or their folders, in the order wanted; without it those of all subfolders of `out`, by name
 * @throws shard_index_invalid for an index that is missing or wrong; config_invalid where there is none, or two would give shards the
 * same name
 */
export function mergeMdsIndexes(out: string, sources?: readonly string[]): MergedIndex {
  const folders = sources ? sources.map(folderOf) : subfolders(out);
  const names = folders.map((each) => basename(resolve(each)));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (folders.length === 0) {
    throw new DabarexError(
      'config_invalid',
      `There is no index to merge: no subfolder of ${out} holds an index.json. Give the folder whose subfolders hold data sets.`,
      { path: out },
    );
  }
  if (twice !== undefined) {
    throw new DabarexError(
      'config_invalid',
      `Two of the indexes stand in folders named "${twice}", so their shards would have the same names. Rename one of the folders.`,
      { path: out, name: twice },
    );
  }
  const shards = folders.flatMap((folder, i) =>
    readMdsIndex(folder).map((shard) => ({
      ...shard,
      raw_data: within(names[i]!, shard.raw_data),
      zip_data: shard.zip_data && within(names[i]!, shard.zip_data),
    })),
  );
  const path = join(out, 'index.json');
  writeFileAtomic(path, pythonJson({ version: 2, shards }));
  const numSamples = shards.reduce((sum, each) => sum + each.samples, 0);
  return { path, numIndexes: folders.length, numShards: shards.length, numSamples };
}

function within<T extends { readonly basename: string }>(folder: string, file: T): T {
  return { ...file, basename: `${folder}/${file.basename}` };
}

function folderOf(source: string): string {
  return basename(source) === 'index.json' ? dirname(source) : source;
}

function subfolders(out: string): string[] {
  try {
    return readdirSync(out, { withFileTypes: true })
      .filter((each) => each.isDirectory() && existsSync(join(out, each.name, 'index.json')))
      .map((each) => each.name)
      .sort(compareCodePoints)
      .map((name) => join(out, name));
  } catch (error) {
    throw fileError(error, out);
  }
}
