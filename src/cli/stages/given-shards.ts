/**
 * Token shards that a recipe names instead of text: local folders, or folders in a store. Opening reads their indexes alone;
 * what is held out is small and comes whole, as local folders.
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
} from '../../stream/index.ts';
import type { CliContext } from '../context.ts';
import type { shardsConfigSchema } from '../data-config.ts';
import type { DomainData } from './data.ts';

interface OpenOptions {
  /** what relative paths start from */
  readonly baseDir: string;
  readonly remote: RemoteOptions;
  readonly tokenizerSha256: string;
  readonly sequenceLength: number;
}

/** How a run reaches stores, and what it may keep of them. */
export function remoteOptionsOf(context: CliContext, stream: StreamConfig): RemoteOptions {
  return {
    cacheDir: join(context.cacheDir, 'objects'),
    cacheLimitBytes: cacheLimitBytes(stream),
    stores: context.storage,
    predownload: stream.predownload,
  };
}

/**
 * The domains of `data.shards`. The key is of their indexes, so shards may move.
 * @throws data_empty, shard_index_invalid, shard_missing and what stores throw
 */
export async function openShards(
  { train, heldout }: z.output<typeof shardsConfigSchema>,
  { baseDir, remote, tokenizerSha256, sequenceLength }: OpenOptions,
): Promise<{ domains: Record<string, DomainData>; key: string }> {
  const indexes: Record<string, string> = {};
  const domains = await Promise.all(
    Object.entries(train).map(async ([name, url]): Promise<[string, DomainData]> => {
      const place = localPlace(url, baseDir);
      const index = await openIndex(place, remote);
      if (index.data.samples === 0) throw noSamples(name, url);
      indexes[name] = index.sha256;
      const held = heldout[name] === undefined ? undefined : localPlace(heldout[name]!, baseDir);
      const heldoutDir = held && isRemote(held) ? (await fetchDataset(held, remote)).dir : held;
      const heldoutSamples = heldoutDir === undefined ? 0 : samplesIn(heldoutDir);
      return [name, { ...index.data, train: place, heldout: heldoutDir, heldoutSamples }];
    }),
  );
  const inputs = JSON.stringify({ indexes: Object.entries(indexes).sort(), tokenizerSha256, sequenceLength });
  const key = createHash('sha256').update(inputs).digest('hex');
  return { domains: Object.fromEntries(domains), key };
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
    return { data: { samples, bytesPerToken: 0 }, sha256 };
  } finally {
    index?.release();
  }
}

function samplesIn(dir: string): number {
  const reader = new MdsReader(dir);
  reader.close();
  return reader.numSamples;
}
