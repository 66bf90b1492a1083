/**
 * Training a byte-level BPE: pieces of the texts are counted once, then the most frequent pair of neighbouring symbols
 * is merged until the vocabulary is full. Pair counts are kept up to date in the words a merge touches.
 *
 * Rule for ties, as in Hugging Face tokenizers: the higher count, then the smaller left id, then the smaller right id.
 * Where a merge yields bytes that are a token already, the merge is kept and the token is shared, as there.
 * Pieces of more than 256 bytes count by their first 256 bytes. The result depends on nothing but the texts.
 */
import { assert, DabarexError, type OnProgress } from '../base/index.ts';
import { plainSpecialTokens } from './added-tokens.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { BYTES_IN_ID_ORDER } from './byte-alphabet.ts';
import { PairCounts } from './pair-counts.ts';
import { PieceTable } from './piece-table.ts';
import { splitterOf } from './split.ts';
import { TokenBuffer } from './token-buffer.ts';
import { DEFAULT_SPECIAL_TOKENS, END_OF_TEXT } from './tokenizer.ts';
import { Utf8Text } from './utf8-text.ts';

export interface TrainBpeOptions {
  readonly texts: Iterable<string>;
  /** 256 bytes + merged tokens + special tokens, exactly */
  readonly vocabSize: number;
  /** their ids are the last ones, in this order; must hold `<|endoftext|>`; default {@link DEFAULT_SPECIAL_TOKENS} */
  readonly specialTokens?: readonly string[];
  /** stages `count` (unit texts, total 0) and `merge` (unit tokens) */
  readonly onProgress?: OnProgress;
}

const MAX_TRAINING_PIECE_BYTES = 256;
const FIRST_PIECES = 1 << 12;
const TEXTS_PER_REPORT = 256;
const TOKENS_PER_REPORT = 64;

/**
 * Trains a byte-level BPE tokenizer with GPT-4's split pattern.
 * @throws tokenizer_vocab_size where vocabSize leaves no room for the bytes and special tokens, or the texts do not
 *   hold enough different pairs to fill it
 */
export function trainBpe(options: TrainBpeOptions): BpeTokenizer {
  const { vocabSize, specialTokens = DEFAULT_SPECIAL_TOKENS } = options;
  assert(specialTokens.includes(END_OF_TEXT), `${END_OF_TEXT} is a special token`);
  assert(new Set(specialTokens).size === specialTokens.length, 'special tokens differ');
  const numOrdinary = vocabSize - specialTokens.length;
  if (numOrdinary < 256) {
    throw vocabSizeError(
      `vocabSize ${vocabSize} is less than 256 bytes and ${specialTokens.length} special tokens`,
      vocabSize,
    );
  }
  const words = countPieces(options.texts, options.onProgress);
  const tokens = BYTES_IN_ID_ORDER.map((byte) => Uint8Array.of(byte));
  const merges = learnMerges(words, tokens, numOrdinary, options.onProgress);
  if (tokens.length < numOrdinary) {
    throw vocabSizeError(
      `the texts hold enough pairs for ${tokens.length + specialTokens.length} tokens, not for ${vocabSize}`,
      vocabSize,
    );
  }
  const special = new Map(specialTokens.map((text, i) => [text, numOrdinary + i]));
  const encoder = new TextEncoder();
  return new BpeTokenizer({
    pattern: 'cl100k',
    tokens: [...tokens, ...specialTokens.map((text) => encoder.encode(text))],
    merges,
    addedTokens: plainSpecialTokens(special),
    endOfTextId: special.get(END_OF_TEXT)!,
  });
}

/** Distinct pieces as symbols: word w is symbols[starts[w] .. starts[w] + lengths[w]), and occurs counts[w] times. */
interface Words {
  readonly symbols: Int32Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly counts: Float64Array;
}

/** The pieces of the texts, each once, as byte tokens. */
function countPieces(texts: Iterable<string>, onProgress?: OnProgress): Words {
  const splitter = splitterOf('cl100k');
  const idOfByte = new Int32Array(256);
  BYTES_IN_ID_ORDER.forEach((byte, id) => {
    idOfByte[byte] = id;
  });
  const table = new PieceTable(FIRST_PIECES);
  const symbols = new TokenBuffer();
  const starts: number[] = [];
  const counts: number[] = [];
  const text = new Utf8Text();
  let done = 0;
  for (const each of texts) {
    text.set(each);
    for (let start = 0; start < text.length; ) {
      const end = splitter.pieceEnd(text.bytes, start, text.length);
      const place = table.find(text, start, end - start);
      if (place >= 0) counts[table.valueAt(place)]!++;
      else {
        table.insert(text, start, end - start, place, counts.length);
        if (table.isFull) table.grow();
        counts.push(1);
        starts.push(symbols.length);
        const stop = Math.min(end, start + MAX_TRAINING_PIECE_BYTES);
        for (let at = start; at < stop; at++) symbols.push(idOfByte[text.bytes[at]!]!);
      }
      start = end;
    }
    if (++done % TEXTS_PER_REPORT === 0) onProgress?.({ stage: 'count', done, total: 0, unit: 'texts' });
  }
  const lengths = Int32Array.from(starts, (start, word) => (starts[word + 1] ?? symbols.length) - start);
  return {
    symbols: symbols.slice(),
    starts: Int32Array.from(starts),
    lengths,
    counts: Float64Array.from(counts),
  };
}

/** Appends the learnt tokens to `tokens` until there are `numTokens` or no pair is left; returns the merges by rank. */
function learnMerges(
  words: Words,
  tokens: Uint8Array[],
  numTokens: number,
  onProgress?: OnProgress,
): Int32Array {
  const pairs = new PairCounts();
  for (let word = 0; word < words.lengths.length; word++) {
    const start = words.starts[word]!;
    for (let i = start; i + 1 < start + words.lengths[word]!; i++) {
      pairs.add(words.symbols[i]!, words.symbols[i + 1]!, words.counts[word]!, word);
    }
  }
  pairs.enqueueChanged();
  const idOfToken = new Map(tokens.map((bytes, id) => [latin1(bytes), id]));
  const merges: number[] = [];
  while (tokens.length < numTokens) {
    const pair = pairs.takeMostFrequent();
    if (!pair) break;
    const bytes = Uint8Array.of(...tokens[pair.left]!, ...tokens[pair.right]!);
    const known = idOfToken.get(latin1(bytes));
    const merged = known ?? tokens.length;
    if (known === undefined) {
      idOfToken.set(latin1(bytes), tokens.length);
      tokens.push(bytes);
    }
    merges.push(pair.left, pair.right, merged);
    for (const word of pair.words) mergeInWord(words, word, pair.left, pair.right, merged, pairs);
    pairs.enqueueChanged();
    if (tokens.length % TOKENS_PER_REPORT === 0) {
      onProgress?.({ stage: 'merge', done: tokens.length, total: numTokens, unit: 'tokens' });
    }
  }
  return Int32Array.from(merges);
}

/** Merges left to right in one word, in place, and moves the counts of the neighbouring pairs. */
function mergeInWord(
  words: Words,
  word: number,
  left: number,
  right: number,
  merged: number,
  pairs: PairCounts,
): void {
  const { symbols } = words;
  const start = words.starts[word]!;
  const end = start + words.lengths[word]!;
  const count = words.counts[word]!;
  let kept = start;
  for (let i = start; i < end; i++) {
    if (symbols[i] !== left || i + 1 >= end || symbols[i + 1] !== right) {
      symbols[kept++] = symbols[i]!;
      continue;
    }
    if (kept > start) {
      pairs.subtract(symbols[kept - 1]!, left, count);
      pairs.add(symbols[kept - 1]!, merged, count, word);
    }
    if (i + 2 < end) {
      pairs.subtract(right, symbols[i + 2]!, count);
      pairs.add(merged, symbols[i + 2]!, count, word);
    }
    symbols[kept++] = merged;
    i++;
  }
  words.lengths[word] = kept - start;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function vocabSizeError(problem: string, vocabSize: number): DabarexError {
  return new DabarexError(
    'tokenizer_vocab_size',
    `tokenizer: ${problem}. Choose another vocabSize or give more text.`,
    { vocabSize },
  );
}
