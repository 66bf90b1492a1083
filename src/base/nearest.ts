/** The word a user may have meant. */
import { distance } from 'fastest-levenshtein';

/** The nearest of `known`, case aside, where it is near enough that a slip of the hand explains it; else undefined. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const apart = (each: string) => distance(each.toLowerCase(), word.toLowerCase());
  const [nearest] = [...known].sort((a, b) => apart(a) - apart(b));
  const most = Math.max(1, Math.floor(word.length / 3));
  return nearest !== undefined && apart(nearest) <= most ? nearest : undefined;
}
