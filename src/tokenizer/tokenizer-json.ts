/**
 * tokenizer.json, the file of Hugging Face tokenizers, as written here: byte-level BPE (Split by the pattern, ByteLevel)
 * and character level (WordLevel over single characters). Special tokens stand in the vocabulary and in
 * `added_tokens`, so their ids are read the same whatever gaps the vocabulary has.
 */

import { plainSpecialTokens } from './added-tokens.ts';
import type { BpeModel } from './bpe-tokenizer.ts';
import { bytesToAlphabet } from './byte-alphabet.ts';
import { postProcessorJson } from './post-processor.ts';
import { preTokenizerJson } from './pre-tokenizer.ts';
import type { SpanModel } from './span-tokenizer.ts';

/** The parts of tokenizer.json that are read and written here. */
export interface TokenizerJson {
  readonly version: string;
  readonly truncation: null;
  readonly padding: null;
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly post_processor: unknown;
  readonly decoder: unknown;
  readonly model: Readonly<Record<string, unknown>>;
}

interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** One character, line ends included. */
export const ANY_CHARACTER_SOURCE = '[\\s\\S]';

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };

/** The text of each token of a byte-level BPE in files: ordinary ones in the byte alphabet. */
export function byteLevelKeys(model: BpeModel): (string | undefined)[] {
  const added = new Set(model.addedTokens.map((token) => token.id));
  return model.tokens.map((bytes, id) => {
    if (!bytes) return undefined;
    return added.has(id) ? new TextDecoder().decode(bytes) : bytesToAlphabet(bytes);
  });
}

/** tokenizer.json of a byte-level BPE. */
export function bpeJson(model: BpeModel): TokenizerJson {
  const keys = byteLevelKeys(model);
  const merges: [string, string][] = [];
  for (let at = 0; at < model.merges.length; at += 3) {
    merges.push([keys[model.merges[at]!]!, keys[model.merges[at + 1]!]!]);
  }
  const steps = model.normalizer ?? [];
  return tokenizerJson(model, keys, {
    normalizer:
      steps.length === 0 ? null : steps.length === 1 ? steps[0] : { type: 'Sequence', normalizers: steps },
    pre_tokenizer: preTokenizerJson(model),
    decoder: { ...BYTE_LEVEL, add_prefix_space: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: model.ignoreMerges ?? false,
      vocab: Object.fromEntries(keys.flatMap((key, id) => (key === undefined ? [] : [[key, id]]))),
      merges,
      ...(model.ranks ? { ranks: [...model.ranks] } : {}),
    },
  });
}

/** tokenizer.json of a character-level tokenizer; `characters` are the characters by id, before the special tokens. */
export function charJson(
  characters: readonly string[],
  specialTokens: ReadonlyMap<string, number>,
  unknownToken: string,
): TokenizerJson {
  const split = { Regex: ANY_CHARACTER_SOURCE };
  const addedTokens = plainSpecialTokens(specialTokens);
  return tokenizerJson({ addedTokens, endOfTextId: 0 }, [], {
    normalizer: null,
    pre_tokenizer: { type: 'Split', pattern: split, behavior: 'Isolated', invert: false },
    decoder: { type: 'Fuse' },
    model: {
      type: 'WordLevel',
      vocab: Object.fromEntries([
        ...characters.map((char, id): [string, number] => [char, id]),
        ...specialTokens,
      ]),
      unk_token: unknownToken,
    },
  });
}

/** tokenizer.json of any kind. @param keys text of each id in the file */
export function tokenizerJson(
  model: SpanModel,
  keys: readonly (string | undefined)[],
  parts: Pick<TokenizerJson, 'normalizer' | 'pre_tokenizer' | 'decoder' | 'model'>,
): TokenizerJson {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...model.addedTokens]
      .sort((a, b) => a.id - b.id)
      .map(({ id, content, special, normalized, lstrip, rstrip, singleWord }) => ({
        id,
        content,
        single_word: singleWord,
        lstrip,
        rstrip,
        normalized,
        special,
      })),
    post_processor: postProcessorJson(model, keys),
    ...parts,
  };
}
