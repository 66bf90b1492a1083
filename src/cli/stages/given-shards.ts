/**
 * The data of `data.shards`: token shards that are there already, local or in a store, and text files that are read as they are.
 * Opening shards reads their indexes alone; what is held out of them is small and comes whole, as local folders.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { z } from 'zod';
import { DabarexError } from '../../base/index.ts';
import { parseSourceUrl } from '../../storage/index.ts';
import {
  cacheLimitBytes,
  fetchDataset,
  fetchIndex,
  isRemote,
  MdsReader,
  type RemoteOptions,
  type StreamConfig,
  type TextFilesConfig,
} from '../../stream/index.ts';
import type { CliContext } from '../context.ts';
import type { shardsConfigSchema } from '../data-config.ts';
import { sourcesDirOf } from '../folders.ts';
import type { DomainData } from './data.ts';
import { openTexts, type TextOptions, type TextRecord } from './given-texts.ts';

export interface GivenData {
  readonly domains: Readonly<Record<string, DomainData>>;
  /** domain -> hash of what training draws from, an index of shards or the content of files; they may move */
  readonly content: readonly (readonly [domain: string, sha256: string])[];
  /** of the domains that are text files; absent where there is none */
  readonly files?: TextRecord;
}

interface OpenedDomain {
  readonly data: DomainData;
  readonly sha256: string;
  readonly files?: TextRecord[string];
}

/** How a run reaches stores, and what it may keep of them. */
export function remoteOptionsOf(context: CliContext, stream: StreamConfig): RemoteOptions {
  return {
    cacheDir: join(context.cacheDir, 'objects'),
    cacheLimitBytes: cacheLimitBytes(stream),
    stores: { ...context.storage, npm: context.npm, cacheDir: sourcesDirOf(context) },
    predownload: stream.predownload,
  };
}

/**
 * The domains of `data.shards`; text files one domain after the other, since indexing them takes all threads.
 * @throws data_empty, shard_index_invalid, shard_missing and what stores throw; as {@link openTexts}
 */
export async function openGiven(
  { train, heldout }: z.output<typeof shardsConfigSchema>,
  options: TextOptions,
): Promise<GivenData> {
  const opened = new Map<string, OpenedDomain>();
  const open = async (name: string): Promise<void> => {
    const found = await openTraining(name, train[name]!, options);
    const held = heldout[name] === undefined ? undefined : await openHeldout(name, heldout[name]!, options);
    opened.set(name, { ...found, data: { ...found.data, ...held } });
  };
  const names = Object.keys(train);
  const isText = (name: string) => typeof train[name] === 'object' || typeof heldout[name] === 'object';
  await Promise.all(names.filter((name) => !isText(name)).map(open));
  for (const name of names.filter(isText)) await open(name);
  const entries = names.map((name) => [name, opened.get(name)!] as const);
  const texts = entries.flatMap(([name, { files }]) => (files ? [[name, files] as const] : []));
  return {
    domains: Object.fromEntries(entries.map(([name, { data }]) => [name, data])),
    content: entries.map(([name, { sha256 }]): [string, string] => [name, sha256]).sort(),
    ...(texts.length > 0 && { files: Object.fromEntries(texts) }),
  };
}

async function openTraining(
  name: string,
  place: string | TextFilesConfig,
  options: TextOptions,
): Promise<OpenedDomain> {
  const without = { bytesPerToken: 0, heldoutSamples: 0 };
  if (typeof place !== 'string') {
    const opened = await openTexts(place, 'train', name, options);
    const { samples, files } = opened;
    const sha256 = opened.place.contentSha256;
    return { data: { samples, ...without, train: opened.place }, sha256, files };
  }
  const train = localPlace(place, options.baseDir);
  const { samples, sha256 } = await openIndex(train, options.remote);
  if (samples === 0) throw noSamples(name, place);
  return { data: { samples, ...without, train }, sha256 };
}

async function openHeldout(
  name: string,
  place: string | TextFilesConfig,
  options: TextOptions,
): Promise<Pick<DomainData, 'heldout' | 'heldoutSamples'>> {
  if (typeof place !== 'string') {
    const opened = await openTexts(place, 'heldout', name, options);
    return { heldout: opened.place, heldoutSamples: opened.samples };
  }
  const held = localPlace(place, options.baseDir);
  const heldout = isRemote(held) ? (await fetchDataset(held, options.remote)).dir : held;
  return { heldout, heldoutSamples: samplesIn(heldout) };
}

function noSamples(domain: string, url: string): DabarexError {
  return new DabarexError(
    'data_empty',
    `data.shards.train.${domain}: ${url} holds no samples. Give shards that do, or leave the domain out.`,
    { domain, url },
  );
}

/** A path, absolute, or the URL of a store. */
function localPlace(place: string, baseDir: string): string {
  if (isRemote(place) && !/^file:/i.test(place)) return place;
  const { path } = parseSourceUrl(place) as { path: string };
  return resolve(baseDir, path);
}

async function openIndex(place: string, remote: RemoteOptions) {
  const index = isRemote(place) ? await fetchIndex(place, remote) : undefined;
  const dir = index?.dir ?? place;
  try {
    const reader = new MdsReader(dir, { files: index ? 'arriving' : 'present' });
    const samples = reader.numSamples;
    reader.close();
    const sha256 = createHash('sha256')
      .update(readFileSync(join(dir, 'index.json')))
      .digest('hex');
    return { samples, sha256 };
  } finally {
    index?.release();
  }
}

function samplesIn(dir: string): number {
  const reader = new MdsReader(dir);
  reader.close();
  return reader.numSamples;
}
