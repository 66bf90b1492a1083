/**
 * tokenizer.bin of llama2.c: the length of the longest token, then score, length and bytes of each token, to the end of the file.
 * Tokens 0, 1 and 2 are unknown, begin and end; bytes have the ids from 3. Source: karpathy/llama2.c, tokenizer.py and run.c.
 */
import { addedToken } from './added-tokens.ts';
import { tokenizerInvalid } from './parse-errors.ts';
import { byteOfName } from './parse-model.ts';
import { SpmTokenizer } from './spm-tokenizer.ts';

const MAX_TOKEN_BYTES = 1 << 12;
/** As they stand in the file, and as they are called. */
const SPECIAL_NAMES = ['<unk>', '<s>', '</s>'];

/**
 * The tokenizer of llama2.c's tokenizer.bin.
 * @param where the name of the file, for messages
 * @throws tokenizer_invalid
 */
export function tokenizerFromLlama2c(file: Uint8Array, where: string): SpmTokenizer {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const tokens: string[] = [];
  const scores: number[] = [];
  for (let at = 4; at < bytes.length; ) {
    const length = at + 8 <= bytes.length ? bytes.readInt32LE(at + 4) : -1;
    if (length < 0 || length > MAX_TOKEN_BYTES || at + 8 + length > bytes.length) {
      throw tokenizerInvalid(where, `token ${tokens.length} at byte ${at} reaches beyond the end`);
    }
    const score = bytes.readFloatLE(at);
    if (!Number.isFinite(score))
      throw tokenizerInvalid(where, `token ${tokens.length} has the score ${score}`);
    scores.push(score);
    tokens.push(bytes.toString('utf8', at + 8, at + 8 + length));
    at += 8 + length;
  }
  const byteIds = new Int32Array(256).fill(-1);
  tokens.forEach((text, id) => {
    const byte = byteOfName(text);
    if (byte !== undefined) byteIds[byte] = id;
  });
  if (byteIds.includes(-1)) throw tokenizerInvalid(where, 'a byte has no token');
  tokens.splice(0, SPECIAL_NAMES.length, ...SPECIAL_NAMES);
  return new SpmTokenizer({
    tokens,
    byteIds,
    scores: Float64Array.from(scores),
    addedTokens: SPECIAL_NAMES.map((content, id) => addedToken({ id, content, special: true })),
    unknownId: 0,
    beginOfTextId: 1,
    endOfTextId: 2,
    prefixIds: [1],
    fusesUnknown: false,
    spacePrefix: 'always',
    keepsSpace: false,
    splitsAtSpaces: false,
    dropsSpace: true,
  });
}
