/**
 * tokenizer.json, the file of Hugging Face tokenizers, as written here: byte-level BPE (Split by the pattern, ByteLevel)
 * and character level (WordLevel over single characters). Special tokens stand in the vocabulary and in
 * `added_tokens`, so their ids are read the same whatever gaps the vocabulary has.
 */

import type { BpeModel } from './bpe-tokenizer.ts';
import { bytesToAlphabet } from './byte-alphabet.ts';
import { SPLIT_PATTERN_SOURCES } from './split.ts';

/** The parts of tokenizer.json that are read and written here. */
export interface TokenizerJson {
  readonly version: string;
  readonly truncation: null;
  readonly padding: null;
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: null;
  readonly pre_tokenizer: unknown;
  readonly post_processor: null;
  readonly decoder: unknown;
  readonly model: Readonly<Record<string, unknown>>;
}

interface AddedToken {
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

/** tokenizer.json of a byte-level BPE. */
export function bpeJson(model: BpeModel): TokenizerJson {
  const specialIds = new Set(model.specialTokens.values());
  const keys = model.tokens.map((bytes, id) => {
    if (!bytes) return undefined;
    return specialIds.has(id) ? new TextDecoder().decode(bytes) : bytesToAlphabet(bytes);
  });
  const merges: [string, string][] = [];
  for (let at = 0; at < model.merges.length; at += 3) {
    merges.push([keys[model.merges[at]!]!, keys[model.merges[at + 1]!]!]);
  }
  const split = { Regex: SPLIT_PATTERN_SOURCES[model.pattern] };
  return tokenizerJson(model.specialTokens, {
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: split, behavior: 'Isolated', invert: false },
        { ...BYTE_LEVEL, use_regex: false },
      ],
    },
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
  return tokenizerJson(specialTokens, {
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

function tokenizerJson(
  specialTokens: ReadonlyMap<string, number>,
  parts: Pick<TokenizerJson, 'pre_tokenizer' | 'decoder' | 'model'>,
): TokenizerJson {
  const added = [...specialTokens].sort((a, b) => a[1] - b[1]);
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    post_processor: null,
    ...parts,
  };
}
