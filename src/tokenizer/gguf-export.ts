/**
 * The GGUF vocabulary of a tokenizer of ours, so that llama.cpp gives the same ids; or a refusal that says why it cannot.
 * Ids that name no token, up to the rows of the model, become `[PAD{id}]`, since every text must be there once.
 */
import { DabarexError } from '../base/index.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { ggufNameOf } from './gguf-patterns.ts';
import { GGUF_TOKEN_TYPES, type GgufVocabulary } from './gguf-vocabulary.ts';
import type { SpanModel } from './span-tokenizer.ts';
import { SPACE_MARK, SpmTokenizer } from './spm-tokenizer.ts';
import { IM_END, PAD, type Tokenizer } from './tokenizer.ts';
import { byteLevelKeys } from './tokenizer-json.ts';

export interface GgufVocabularyOptions {
  /** tokens the vocabulary is filled up to, the rows of the embedding; default: as many as there are */
  readonly numTokens?: number;
  readonly chatTemplate?: string;
}

/**
 * What a GGUF file says of `tokenizer`.
 * @throws tokenizer_not_representable where llama.cpp would give other ids
 */
export function ggufVocabularyOf(tokenizer: Tokenizer, options: GgufVocabularyOptions = {}): GgufVocabulary {
  const { numTokens = tokenizer.vocabSize, chatTemplate } = options;
  if (numTokens < tokenizer.vocabSize) {
    throw refused(`it has ${tokenizer.vocabSize} tokens, the model ${numTokens} rows`);
  }
  const parts =
    tokenizer instanceof BpeTokenizer
      ? byteLevelParts(tokenizer)
      : tokenizer instanceof SpmTokenizer
        ? sentencePieceParts(tokenizer)
        : undefined;
  if (!parts) throw refused('it has a token a character, and no token for the bytes of other characters');
  const { keys, types } = parts;
  const tokens = Array.from({ length: numTokens }, (_, id) => keys[id] ?? `[PAD${id}]`);
  if (new Set(tokens).size !== tokens.length) {
    throw refused('two of its tokens have the same text');
  }
  const tokenTypes = Int32Array.from(tokens, (_, id) =>
    keys[id] === undefined ? GGUF_TOKEN_TYPES.unused : types(id),
  );
  const endOfTurnId = tokenizer.specialTokens.get(IM_END);
  const paddingId = tokenizer.specialTokens.get(PAD);
  return {
    ...parts.values,
    ...(parts.scores
      ? { scores: Float32Array.from(tokens, (_, id) => parts.scores![id] ?? UNUSED_SCORE) }
      : {}),
    tokens,
    tokenTypes,
    endOfTextId: tokenizer.endOfTextId,
    beginOfTextId: tokenizer.beginOfTextId ?? tokenizer.endOfTextId,
    endOfTurnId: endOfTurnId ?? tokenizer.endOfTextId,
    addsBegin: tokenizer.prefixIds.length > 0,
    addsEnd: tokenizer.suffixIds.length > 0,
    ...(paddingId === undefined ? {} : { paddingId }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
}

const UNUSED_SCORE = -1e6;

interface Parts {
  /** text of each id in the file */
  readonly keys: readonly (string | undefined)[];
  readonly types: (id: number) => number;
  readonly values: Pick<GgufVocabulary, 'model' | 'pre' | 'merges' | 'unknownId' | 'addsSpacePrefix'>;
  readonly scores?: ArrayLike<number>;
}

function byteLevelParts({ model }: BpeTokenizer): Parts {
  requirePlain(model);
  if (model.addPrefixSpace) throw refused('it puts a space before a text');
  if (model.ranks) throw refused('some of its tokens cannot be made by merges of two tokens');
  const pre = ggufNameOf(model);
  if (!pre) throw refused('llama.cpp has no name for how it splits text');
  const keys = byteLevelKeys(model);
  const { merges } = model;
  const lines: string[] = [];
  for (let at = 0; at < merges.length; at += 3) lines.push(`${keys[merges[at]!]} ${keys[merges[at + 1]!]}`);
  return { keys, types: typesOf(model), values: { model: 'gpt2', pre, merges: lines } };
}

function sentencePieceParts({ model, symbolMerges }: SpmTokenizer): Parts {
  requirePlain(model);
  if (model.splitsAtSpaces || model.keepsSpace || model.spacePrefix === 'first') {
    throw refused('it splits at spaces, or gives a space only to some texts');
  }
  if (model.byteIds.includes(-1)) throw refused('it has no token for some bytes');
  const added = new Set(model.addedTokens.map((token) => token.id));
  const keys = model.tokens.map((text, id) => (added.has(id) ? text : text?.replaceAll(' ', SPACE_MARK)));
  const bytes = new Set(model.byteIds);
  const ofAdded = typesOf(model);
  const types = (id: number) => {
    if (bytes.has(id)) return GGUF_TOKEN_TYPES.byte;
    return id === model.unknownId ? GGUF_TOKEN_TYPES.unknown : ofAdded(id);
  };
  const scores = model.scores ?? scoresOfMerges(model.tokens, symbolMerges.merges);
  const addsSpacePrefix = model.spacePrefix === 'always';
  const unknown = model.unknownId === undefined ? {} : { unknownId: model.unknownId };
  return { keys, types, scores, values: { model: 'llama', pre: 'default', addsSpacePrefix, ...unknown } };
}

/** Scores that make the same merges: minus the rank of the first merge of each token. @throws tokenizer_not_representable */
function scoresOfMerges(tokens: readonly (string | undefined)[], merges: Int32Array): Float64Array {
  const scores = new Float64Array(tokens.length);
  const first = new Map<number, number>();
  let previous = -1;
  const pairs = new Set<string>();
  for (let at = 0; at < merges.length; at += 3) {
    const result = merges[at + 2]!;
    if (result !== previous && first.has(result))
      throw refused(`the merges of token ${result} have ranks apart from each other`);
    if (!first.has(result)) first.set(result, at / 3);
    previous = result;
    pairs.add(`${merges[at]} ${merges[at + 1]}`);
  }
  const ids = new Map(tokens.flatMap((text, id) => (text === undefined ? [] : [[text, id] as const])));
  for (const [id, rank] of first) {
    scores[id] = -rank - 1;
    const text = tokens[id]!;
    for (let cut = 1; cut < text.length; cut++) {
      const [left, right] = [ids.get(text.slice(0, cut)), ids.get(text.slice(cut))];
      if (left !== undefined && right !== undefined && !pairs.has(`${left} ${right}`)) {
        throw refused(
          `token ${id} is not merged of all pairs of tokens that make it, as scores would have it`,
        );
      }
    }
  }
  return scores;
}

function typesOf(model: SpanModel): (id: number) => number {
  const added = new Map(model.addedTokens.map((token) => [token.id, token.special]));
  return (id) => {
    const special = added.get(id);
    if (special === undefined) return GGUF_TOKEN_TYPES.normal;
    return special ? GGUF_TOKEN_TYPES.control : GGUF_TOKEN_TYPES.userDefined;
  };
}

function requirePlain({
  addedTokens,
  normalizer = [],
  prefixIds = [],
  suffixIds = [],
  ...model
}: SpanModel): void {
  const odd = addedTokens.find((token) => token.lstrip || token.rstrip || token.singleWord);
  if (odd) throw refused(`its token ${JSON.stringify(odd.content)} takes white space along or stands alone`);
  // llama.cpp knows no normal forms; Qwen's NFC is left out of its files by everyone.
  if (normalizer.some((step) => step.type !== 'NFC')) throw refused('it normalises text');
  const isOne = (ids: readonly number[], id: number | undefined) =>
    ids.length === 0 || (ids.length === 1 && ids[0] === id);
  if (!isOne(prefixIds, model.beginOfTextId) || !isOne(suffixIds, model.endOfTextId)) {
    throw refused('it puts other tokens around a text than those that begin and end it');
  }
}

function refused(reason: string): DabarexError {
  return new DabarexError(
    'tokenizer_not_representable',
    `The tokenizer cannot be written into a GGUF file: ${reason}. Write the model as a Hugging Face folder instead.`,
    { reason },
  );
}
