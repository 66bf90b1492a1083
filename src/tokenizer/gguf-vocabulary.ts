/**
 * The vocabulary of a GGUF file as plain values (`tokenizer.ggml.*`), and the tokenizer it describes: `gpt2`, byte-level BPE with its
 * pattern by name, and `llama`, SentencePiece's BPE with scores. Who reads the file is another room's matter.
 * Source: llama.cpp, llama-vocab.cpp. The other direction: gguf-export.ts.
 */
import { type AddedToken, addedToken } from './added-tokens.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { alphabetToBytes } from './byte-alphabet.ts';
import { patternOfGguf } from './gguf-patterns.ts';
import { tokenizerInvalid, tokenizerUnsupported } from './parse-errors.ts';
import { byteOfName, requireBytes } from './parse-model.ts';
import type { SpanModel } from './span-tokenizer.ts';
import { SPACE_MARK, SpmTokenizer } from './spm-tokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Values of `tokenizer.ggml.token_type`. */
export const GGUF_TOKEN_TYPES = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

export interface GgufVocabulary {
  /** `tokenizer.ggml.model`: `gpt2` or `llama` */
  readonly model: string;
  /** `tokenizer.ggml.pre`; default `default` */
  readonly pre?: string | undefined;
  readonly tokens: readonly string[];
  /** one a token; default: all are normal */
  readonly tokenTypes?: ArrayLike<number> | undefined;
  readonly scores?: ArrayLike<number> | undefined;
  /** "left right" by rank */
  readonly merges?: readonly string[] | undefined;
  readonly beginOfTextId?: number | undefined;
  readonly endOfTextId?: number | undefined;
  readonly endOfTurnId?: number | undefined;
  readonly unknownId?: number | undefined;
  readonly paddingId?: number | undefined;
  readonly addsBegin?: boolean | undefined;
  readonly addsEnd?: boolean | undefined;
  readonly addsSpacePrefix?: boolean | undefined;
  /** `tokenizer.chat_template` */
  readonly chatTemplate?: string | undefined;
}

/** Texts that llama.cpp takes for control tokens whatever their type. */
const ALWAYS_CONTROL = new Set(
  '<|eot_id|> <|im_end|> <|end|> <end_of_turn> <|endoftext|> <|end_of_text|> <|eom_id|> <EOT> _<EOT>'.split(
    ' ',
  ),
);

/**
 * The tokenizer of a GGUF vocabulary.
 * @param where the name of the file, for messages
 * @throws tokenizer_invalid; tokenizer_unsupported for a model or pattern that is not implemented
 */
export function tokenizerFromGguf(vocabulary: GgufVocabulary, where: string): Tokenizer {
  const { tokens, tokenTypes, scores } = vocabulary;
  if (tokens.length === 0) throw tokenizerInvalid(where, 'it has no tokens');
  for (const [name, list] of [
    ['token_type', tokenTypes],
    ['scores', scores],
  ] as const) {
    if (list && list.length < tokens.length) {
      throw tokenizerInvalid(where, `${name} has ${list.length} entries for ${tokens.length} tokens`);
    }
  }
  const types = Uint8Array.from(tokens, (text, id) => typeOf(vocabulary, text, id));
  if (vocabulary.model === 'gpt2') return byteLevelFrom(vocabulary, types, where);
  if (vocabulary.model === 'llama') return sentencePieceFrom(vocabulary, types, where);
  throw tokenizerUnsupported(where, `the vocabulary ${JSON.stringify(vocabulary.model)}`);
}

/** Ids that end an answer: of the text and of the turn. */
export function stopIdsOfGguf({ endOfTextId, endOfTurnId }: GgufVocabulary): number[] {
  return [...new Set([endOfTextId, endOfTurnId].filter((id) => id !== undefined))];
}

function typeOf(
  { tokenTypes, model, endOfTextId, beginOfTextId }: GgufVocabulary,
  text: string,
  id: number,
): number {
  const { normal, control } = GGUF_TOKEN_TYPES;
  const type = tokenTypes?.[id] ?? normal;
  if (ALWAYS_CONTROL.has(text)) return control;
  // Without types nothing else tells.
  if (!tokenTypes && (id === endOfTextId || id === beginOfTextId)) return control;
  if (!tokenTypes && model === 'llama' && byteOfName(text) !== undefined) return GGUF_TOKEN_TYPES.byte;
  return type;
}

function byteLevelFrom(vocabulary: GgufVocabulary, types: Uint8Array, where: string): BpeTokenizer {
  const pre = vocabulary.pre ?? 'default';
  const known = patternOfGguf(pre);
  if (!known) throw tokenizerUnsupported(where, `the pre-tokenizer ${JSON.stringify(pre)}`);
  const addedTokens = addedOf(vocabulary.tokens, types);
  const added = new Set(addedTokens.map((token) => token.id));
  const ids = new Map<string, number>();
  const tokens = vocabulary.tokens.map((text, id) => {
    if (added.has(id)) return new TextEncoder().encode(text);
    if (types[id] === GGUF_TOKEN_TYPES.unused) return undefined;
    const bytes = alphabetToBytes(text);
    if (!bytes?.length)
      throw tokenizerInvalid(where, `token ${id} ${JSON.stringify(text)} is not in the byte alphabet`);
    if (ids.has(text))
      throw tokenizerInvalid(where, `token ${JSON.stringify(text)} has the ids ${ids.get(text)} and ${id}`);
    ids.set(text, id);
    return bytes;
  });
  requireBytes(tokens, added, where);
  return new BpeTokenizer({
    ...spanOf(
      { ...vocabulary, addsBegin: vocabulary.addsBegin ?? known.addsBegin ?? false },
      addedTokens,
      where,
    ),
    pattern: known.pattern,
    tokens,
    merges: mergesFrom(vocabulary.merges, ids, where),
    ignoreMerges: known.ignoreMerges ?? false,
  });
}

function mergesFrom(
  merges: readonly string[] | undefined,
  ids: ReadonlyMap<string, number>,
  where: string,
): Int32Array {
  if (!merges) throw tokenizerInvalid(where, 'it has no merges');
  const triples: number[] = [];
  const seen = new Set<string>();
  merges.forEach((merge, rank) => {
    const at = merge.indexOf(' ', 1);
    const [left, right] = [merge.slice(0, at), merge.slice(at + 1)];
    const triple = at < 0 ? [undefined] : [left, right, left + right].map((text) => ids.get(text));
    // A vocabulary that was cut, or filled up, may keep merges of tokens that are no text.
    if (triple.includes(undefined)) {
      if (at < 0) throw tokenizerInvalid(where, `merge ${rank} ${JSON.stringify(merge)} is not two tokens`);
      return;
    }
    if (seen.has(merge)) throw tokenizerInvalid(where, `merge ${rank} ${JSON.stringify(merge)} stands twice`);
    seen.add(merge);
    triples.push(...(triple as number[]));
  });
  return Int32Array.from(triples);
}

function sentencePieceFrom(vocabulary: GgufVocabulary, types: Uint8Array, where: string): SpmTokenizer {
  const { scores } = vocabulary;
  if (!scores) throw tokenizerInvalid(where, 'it has no scores');
  const byteIds = new Int32Array(256).fill(-1);
  const addedTokens = addedOf(vocabulary.tokens, types);
  const added = new Set(addedTokens.map((token) => token.id));
  const tokens = vocabulary.tokens.map((text, id) => {
    if (!Number.isFinite(scores[id]))
      throw tokenizerInvalid(where, `token ${id} has the score ${scores[id]}`);
    if (types[id] === GGUF_TOKEN_TYPES.byte) {
      const byte = byteOfName(text);
      if (byte === undefined) throw tokenizerInvalid(where, `token ${id} ${JSON.stringify(text)} is no byte`);
      byteIds[byte] = id;
    }
    if (types[id] === GGUF_TOKEN_TYPES.unused) return undefined;
    return added.has(id) ? text : text.replaceAll(SPACE_MARK, ' ');
  });
  const adds = vocabulary.addsSpacePrefix ?? true;
  const unknownId = vocabulary.unknownId ?? (types[0] === GGUF_TOKEN_TYPES.unknown ? 0 : undefined);
  return new SpmTokenizer({
    ...spanOf({ ...vocabulary, addsBegin: vocabulary.addsBegin ?? true }, addedTokens, where),
    tokens,
    byteIds,
    scores: Float64Array.from(tokens, (_, id) => scores[id]!),
    fusesUnknown: false,
    spacePrefix: adds ? 'always' : 'never',
    keepsSpace: false,
    splitsAtSpaces: false,
    dropsSpace: adds,
    ...(unknownId === undefined ? {} : { unknownId }),
  });
}

function addedOf(tokens: readonly string[], types: Uint8Array): AddedToken[] {
  const { control, unknown, userDefined } = GGUF_TOKEN_TYPES;
  return tokens.flatMap((content, id) => {
    const isSpecial = types[id] === control || types[id] === unknown;
    if (content === '' || (!isSpecial && types[id] !== userDefined)) return [];
    return [addedToken({ id, content, special: isSpecial })];
  });
}

function spanOf(vocabulary: GgufVocabulary, addedTokens: readonly AddedToken[], where: string): SpanModel {
  const isLlama = vocabulary.model === 'llama';
  const endOfTextId = vocabulary.endOfTextId ?? (isLlama ? 2 : undefined);
  const beginOfTextId = vocabulary.beginOfTextId ?? (isLlama ? 1 : undefined);
  if (endOfTextId === undefined) throw tokenizerInvalid(where, 'it names no token that ends a text');
  for (const id of [endOfTextId, beginOfTextId ?? 0]) {
    if (!(id >= 0 && id < vocabulary.tokens.length)) throw tokenizerInvalid(where, `there is no token ${id}`);
  }
  const begins = vocabulary.addsBegin && beginOfTextId !== undefined;
  return {
    addedTokens,
    endOfTextId,
    ...(beginOfTextId === undefined ? {} : { beginOfTextId }),
    prefixIds: begins ? [beginOfTextId] : [],
    suffixIds: vocabulary.addsEnd ? [endOfTextId] : [],
  };
}
