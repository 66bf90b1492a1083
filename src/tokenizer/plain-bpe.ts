/**
 * Byte-level BPE as it is defined, in few lines and slowly: the split pattern as a regular expression, and the lowest rank
 * merged first, leftmost first, again and again. Tests hold the fast encoder against it.
 */
import { BYTES_IN_ID_ORDER } from './byte-alphabet.ts';
import { SPLIT_PATTERN_SOURCES, type SplitPattern } from './split.ts';

/** The pieces of `text`: the pattern in JavaScript's dialect, which knows neither Unicode's `\s` nor `(?i:`. */
export function piecesOf(pattern: SplitPattern, text: string): string[] {
  const source = SPLIT_PATTERN_SOURCES[pattern]
    .replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]")
    .replaceAll('\\s', '\\p{White_Space}')
    .replaceAll('\\S', '\\P{White_Space}');
  return text.match(new RegExp(source, 'gu')) ?? [];
}

/** @param merges three numbers a merge, in the order of rank; single bytes have the ids of `BYTES_IN_ID_ORDER` */
export function plainEncode(pattern: SplitPattern, merges: Int32Array, text: string): number[] {
  const rankOf = new Map<string, number>();
  for (let i = 0; i < merges.length; i += 3) rankOf.set(`${merges[i]} ${merges[i + 1]}`, i / 3);
  return piecesOf(pattern, text).flatMap((piece) => {
    const ids = Array.from(new TextEncoder().encode(piece), (byte) => BYTES_IN_ID_ORDER.indexOf(byte));
    for (;;) {
      const ranks = ids.map((id, i) => rankOf.get(`${id} ${ids[i + 1]}`) ?? Number.POSITIVE_INFINITY);
      const lowest = ranks.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
      if (lowest === Number.POSITIVE_INFINITY) return ids;
      ids.splice(ranks.indexOf(lowest), 2, merges[lowest * 3 + 2]!);
    }
  });
}
