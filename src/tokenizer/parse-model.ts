/** The BPE models of a tokenizer.json: byte-level, and SentencePiece-style with byte fallback. */
import { z } from 'zod';
import { type AddedToken, addedToken } from './added-tokens.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { alphabetToBytes, BYTES_IN_ID_ORDER } from './byte-alphabet.ts';
import { MAX_MERGES } from './merge-table.ts';
import { tokenizerInvalid, tokenizerUnsupported } from './parse-errors.ts';
import type { PreTokenizer } from './pre-tokenizer.ts';
import type { SpanModel } from './span-tokenizer.ts';
import { readSpacing } from './spm-spacing.ts';
import { SPACE_MARK, SpmTokenizer } from './spm-tokenizer.ts';

const mergeSchema = z.union([z.string(), z.tuple([z.string(), z.string()])]);
const scoresSchema = z.array(z.number());
const ranksSchema = z.array(z.int().nonnegative());

/** What both read: the parts of the file, checked. */
export interface ModelFile {
  readonly model: Readonly<Record<string, unknown>>;
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly decoder: unknown;
  /** text -> id of the vocabulary and the added tokens */
  readonly ids: ReadonlyMap<string, number>;
  readonly span: SpanModel;
  readonly where: string;
}

export function byteLevelFrom(file: ModelFile, preTokenizer: PreTokenizer): BpeTokenizer {
  const { model, ids, span, where } = file;
  requireWithout(
    model,
    ['byte_fallback', 'dropout', 'continuing_subword_prefix', 'end_of_word_suffix'],
    where,
  );
  const added = new Set(span.addedTokens.map((token) => token.id));
  const tokens: (Uint8Array | undefined)[] = new Array(sizeOf(ids)).fill(undefined);
  for (const [text, id] of ids) {
    const bytes = added.has(id) ? new TextEncoder().encode(text) : alphabetToBytes(text);
    if (!bytes?.length) {
      throw tokenizerInvalid(where, `token ${id} ${JSON.stringify(text)} is not in the byte alphabet`);
    }
    tokens[id] = bytes;
  }
  requireBytes(tokens, added, where);
  const ranks = ranksSchema.safeParse(model.ranks).data;
  const merges = readMerges(file);
  return new BpeTokenizer({
    ...span,
    ...preTokenizer,
    tokens,
    merges,
    ignoreMerges: model.ignore_merges === true,
    ...(ranks && ranks.length * 3 === merges.length ? { ranks: Int32Array.from(ranks) } : {}),
  });
}

/** @throws tokenizer_invalid where a byte has no token */
export function requireBytes(
  tokens: readonly (Uint8Array | undefined)[],
  added: ReadonlySet<number>,
  where: string,
): void {
  const single = new Set(
    tokens.flatMap((token, id) => (token?.length === 1 && !added.has(id) ? [token[0]!] : [])),
  );
  const missing = BYTES_IN_ID_ORDER.find((byte) => !single.has(byte));
  if (missing !== undefined) throw tokenizerInvalid(where, `byte ${missing} has no token`);
}

export function sentencePieceFrom(file: ModelFile): SpmTokenizer {
  const { model, ids, span, where } = file;
  requireWithout(
    model,
    ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix', 'ignore_merges'],
    where,
  );
  const spacing = readSpacing(file);
  const added = new Set(span.addedTokens.map((token) => token.id));
  const tokens: (string | undefined)[] = new Array(sizeOf(ids)).fill(undefined);
  const byteIds = new Int32Array(256).fill(-1);
  for (const [text, id] of ids) {
    tokens[id] = added.has(id) ? text : text.replaceAll(SPACE_MARK, ' ');
    const byte = byteOfName(text);
    if (byte !== undefined && model.byte_fallback === true) byteIds[byte] = id;
  }
  if (model.byte_fallback === true && byteIds.includes(-1)) byteIds.fill(-1);
  const unknownId = typeof model.unk_token === 'string' ? ids.get(model.unk_token) : undefined;
  const scores = scoresSchema.safeParse(model.scores).data;
  const isScored = scores?.length === tokens.length;
  // The unknown token is no text, whether the file says that it is special or not.
  const unknown = tokens[unknownId ?? -1];
  const addedTokens =
    unknown === undefined || added.has(unknownId!)
      ? span.addedTokens
      : [...span.addedTokens, addedToken({ id: unknownId!, content: unknown, special: true })];
  return new SpmTokenizer({
    ...span,
    ...spacing,
    addedTokens,
    tokens,
    byteIds,
    fusesUnknown: model.fuse_unk === true,
    ...(isScored ? { scores: Float64Array.from(scores) } : { merges: readMerges(file) }),
    ...(unknownId === undefined ? {} : { unknownId }),
  });
}

/** The byte of a token such as `<0x0A>`. */
export function byteOfName(text: string): number | undefined {
  const [, hex] = /^<0x([0-9A-F]{2})>$/.exec(text) ?? [];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
}

/** Merges by rank, without those of special tokens: text never becomes one. */
function readMerges({ model, ids, span, where }: ModelFile): Int32Array {
  const parsed = z
    .array(mergeSchema)
    .max(MAX_MERGES - 1)
    .safeParse(model.merges);
  if (!parsed.success) {
    throw tokenizerInvalid(where, 'model.merges is not a list of "left right" or ["left", "right"]');
  }
  const special = new Set(span.addedTokens.flatMap((token: AddedToken) => (token.special ? [token.id] : [])));
  const merges: number[] = [];
  const seen = new Set<number>();
  parsed.data.forEach((merge, rank) => {
    const [left, right] = typeof merge === 'string' ? splitAtSpace(merge) : merge;
    const triple = [left, right, left + right].map((text) => ids.get(text));
    if (triple.includes(undefined)) {
      throw tokenizerInvalid(
        where,
        `merge ${rank} (${JSON.stringify(merge)}) refers to a token that is not in the vocabulary`,
      );
    }
    const pair = triple[0]! * 2 ** 26 + triple[1]!;
    if (seen.has(pair))
      throw tokenizerInvalid(where, `merge ${rank} (${JSON.stringify(merge)}) stands twice`);
    seen.add(pair);
    if (!triple.some((id) => special.has(id!))) merges.push(...(triple as number[]));
  });
  return Int32Array.from(merges);
}

function requireWithout(model: ModelFile['model'], keys: readonly string[], where: string): void {
  const found = keys.find((key) => model[key]);
  if (found) throw tokenizerUnsupported(where, `model.${found}`);
}

/** "left right": neither alphabet has a space, so there is one. */
function splitAtSpace(merge: string): [string, string] {
  const at = merge.indexOf(' ', 1);
  return at < 0 ? [merge, ''] : [merge.slice(0, at), merge.slice(at + 1)];
}

function sizeOf(ids: ReadonlyMap<string, number>): number {
  let max = -1;
  for (const id of ids.values()) max = Math.max(max, id);
  return max + 1;
}
