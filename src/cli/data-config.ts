/** The `data` part of a recipe: what preparing, streaming and training each say of it, in one schema. */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { type PrepareConfig, prepareConfigSchema } from '../prepare/index.ts';
import { isMosaicOrder, streamConfigSchema, type TextFilesConfig, textFilesSchema } from '../stream/index.ts';
import type { TokenizerConfig } from '../tokenizer/index.ts';
import { Curriculum, curriculumSchema, type TrainConfig } from '../train/index.ts';

const domainName = z.string().regex(/^[a-z][a-z0-9_-]*$/);
const places = z.record(domainName, z.union([z.string().min(1), textFilesSchema]));

/** Data that needs no preparation, by domain: folders of token shards, or their URLs in a store, or text files. */
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
    'The data of this recipe is ready (data.shards): there are no domains whose text is to be prepared. Give data.domains, or train.',
    { path: 'data.domains' },
  );
}

/** Names of the domains that a recipe's data has. */
export function domainsOf(data: DataConfig): string[] {
  return Object.keys(data.domains ?? data.shards?.train ?? {});
}

/** Whether some of the data, of training or held out, is text files. */
export function readsTextFiles({ shards }: DataConfig): boolean {
  return textFilesOf(shards).length > 0;
}

/** Where in `data.shards` text files stand. */
function textFilesOf(shards: DataConfig['shards']): { path: string[]; files: TextFilesConfig }[] {
  return Object.entries(shards ?? {}).flatMap(([split, domains]) =>
    Object.entries(domains).flatMap(([name, files]) =>
      typeof files === 'string' ? [] : [{ path: ['data', 'shards', split, name], files }],
    ),
  );
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
  checkShards(data, tokenizer, fail);
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

function checkShards(data: DataConfig, tokenizer: TokenizerConfig | undefined, fail: Fail): void {
  const { shards, stream } = data;
  if (!shards) return;
  for (const name of Object.keys(shards.heldout)) {
    if (Object.hasOwn(shards.train, name)) continue;
    fail(
      ['data', 'shards', 'heldout', name],
      `no training data has this name; there is ${domainsOf(data).join(', ')}`,
    );
  }
  const [text] = textFilesOf(shards);
  if (tokenizer && tokenizer.kind !== 'file') {
    const reason = text
      ? 'text files are read with a tokenizer that is there already: kind: file, and as path the tokenizer.json of an earlier run, of a ' +
        'model, or what "dabarex tokenizer train" made'
      : 'there is no text to learn a tokenizer from: give that of the shards, kind file and its path';
    fail(['tokenizer', 'kind'], reason);
  }
  if (text && stream.packing !== 'none') {
    const where = text.path.join('.');
    fail(
      ['data', 'stream', 'packing'],
      `text files (${where}) are cut into whole sequences; packing is for shards of documents`,
    );
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
