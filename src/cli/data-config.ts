/** The `data` part of a recipe: what preparing, streaming and training each say of it, in one schema. */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { type PrepareConfig, prepareConfigSchema } from '../prepare/index.ts';
import { isMosaicOrder, streamConfigSchema } from '../stream/index.ts';
import type { TokenizerConfig } from '../tokenizer/index.ts';
import { Curriculum, curriculumSchema, type TrainConfig } from '../train/index.ts';

const places = z.record(z.string().regex(/^[a-z][a-z0-9_-]*$/), z.string().min(1));

/** Token shards that are there already, by domain: folders, or their URLs in a store. */
export const shardsConfigSchema = z.strictObject({
  train: places.refine((train) => Object.keys(train).length > 0, 'name at least one domain'),
  /** for evaluation */
  heldout: places.default({}),
});

export const dataConfigSchema = z.strictObject({
  ...prepareConfigSchema.shape,
  domains: prepareConfigSchema.shape.domains.optional(),
  /** in place of `domains` */
  shards: shardsConfigSchema.optional(),
  stream: streamConfigSchema.prefault({}),
  /** which mix of domains when; absent: all domains by size */
  curriculum: curriculumSchema.optional(),
});

export type DataConfig = z.output<typeof dataConfigSchema>;

/**
 * The part that preparing text is about, and nothing else: its result's key is of this.
 * @throws config_invalid for a recipe whose data is shards
 */
export function corpusConfigOf(data: DataConfig): PrepareConfig {
  const { curriculum: _curriculum, stream: _stream, shards: _shards, domains, ...config } = data;
  if (domains) return { ...config, domains };
  throw new DabarexError(
    'config_invalid',
    'The data of this recipe is token shards (data.shards): there is no text to prepare. Give data.domains, or train.',
    { path: 'data.domains' },
  );
}

/** Names of the domains that a recipe's data has. */
export function domainsOf(data: DataConfig): string[] {
  return Object.keys(data.domains ?? data.shards?.train ?? {});
}

type Fail = (path: (string | number)[], message: string) => void;

/** What holds among the keys of `data`, and between them and the tokenizer. */
export function checkData(
  data: DataConfig | undefined,
  tokenizer: TokenizerConfig | undefined,
  fail: Fail,
): void {
  if (!data) return;
  if (data.domains && data.shards) fail(['data', 'shards'], 'stands in place of domains; give one of them');
  else if (!data.domains && !data.shards)
    fail(['data', 'domains'], 'missing; name domains, or shards that are there already');
  for (const name of Object.keys(data.shards?.heldout ?? {})) {
    if (Object.hasOwn(data.shards!.train, name)) continue;
    fail(
      ['data', 'shards', 'heldout', name],
      `no training shards have this name; there are ${domainsOf(data).join(', ')}`,
    );
  }
  if (data.shards && tokenizer && tokenizer.kind !== 'file') {
    const reason =
      'there is no text to learn a tokenizer from: give that of the shards, kind file and its path';
    fail(['tokenizer', 'kind'], reason);
  }
  if (data.domains && data.stream.packing !== 'none') {
    fail(
      ['data', 'stream', 'packing'],
      'the text of domains is cut into whole sequences; packing is for data.shards',
    );
  }
  if (data.domains) {
    const { error } = prepareConfigSchema.safeParse(corpusConfigOf(data));
    for (const { path, message } of error?.issues ?? []) {
      fail(['data', ...path.map((part) => (typeof part === 'number' ? part : String(part)))], message);
    }
  }
}

/** What the schemas cannot see of one part alone: domains that the curriculum names, durations that add up. */
export function checkCurriculum(
  data: DataConfig | undefined,
  train: TrainConfig | undefined,
  fail: Fail,
): void {
  const domains = data ? domainsOf(data) : [];
  for (const name of Object.keys(data?.stream.shares ?? {})) {
    if (!domains.includes(name))
      fail(['data', 'stream', 'shares', name], `the data has no such domain; it has ${domains.join(', ')}`);
  }
  if (!data?.curriculum) return;
  if (isMosaicOrder(data.stream)) checkMosaicMixes(data.stream, data.curriculum, fail);
  for (const [i, { weights }] of data.curriculum.entries()) {
    for (const name of Object.keys(weights)) {
      if (domains.includes(name)) continue;
      fail(
        ['data', 'curriculum', i, 'weights', name],
        `the data has no such domain; it has ${domains.join(', ')}`,
      );
    }
  }
  if (!train) return;
  try {
    new Curriculum(data.curriculum, train, '');
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    const path = String(error.fields.path ?? '')
      .split('.')
      .filter(Boolean);
    fail(['data', 'curriculum', ...path], error.message.replace(/^\S*: /, '').replace(/\.$/, ''));
  }
}

/** Under MosaicML's orders another mix begins the next epoch. */
function checkMosaicMixes(
  { shares }: DataConfig['stream'],
  curriculum: NonNullable<DataConfig['curriculum']>,
  fail: Fail,
): void {
  if (shares) fail(['data', 'stream', 'shares'], 'the curriculum says the mix; give one of them');
  for (const [i, { ramp }] of curriculum.entries()) {
    if (ramp)
      fail(
        ['data', 'curriculum', i, 'ramp'],
        "under MosaicML's orders every mix begins an epoch, so it cannot change with each step; choose shuffle: block",
      );
  }
}
