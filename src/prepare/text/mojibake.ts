/**
 * Repairs UTF-8 that was read as Latin-1 or Windows-1252, once or several times ("â€™" for "’", "Ã©" for "é").
 * Idea after ftfy (Speer 2019, https://ftfy.readthedocs.io): characters that stand for the bytes of valid UTF-8 are put back only where what
 * stands there is unlikely as text: here, where the run has more than one sequence, holds a character that does not
 * follow letters in any language, or stands within a word of lower case.
 * Limits: "Ã" followed by a plain space (from "à") and text through other code pages are left as they are.
 */

/** Windows-1252's characters for the bytes 0x80-0x9f; 0 where it has none and Latin-1's control stands. */
const CP1252 = [
  0x20ac, 0, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0, 0x17d, 0,
  0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0, 0x17e,
  0x178,
];
const BYTE_OF = new Map(CP1252.map((code, index): [number, number] => [code || 0x80 + index, 0x80 + index]));
const TAIL = `[\\u0080-\\u00bf${String.fromCharCode(...CP1252.filter(Boolean))}]`;
const SEQUENCES = new RegExp(
  `(?:[\\u00c2-\\u00df]${TAIL}|[\\u00e0-\\u00ef]${TAIL}{2}|[\\u00f0-\\u00f4]${TAIL}{3})+`,
  'g',
);
/** What may well follow a letter in good text: closing quotes, dashes, ellipsis, signs, a no-break space. */
const FOLLOWS_LETTERS = /[’‘”“»«›‹–—…•™®©ºª²³°·\u00a0]/g;
const MAX_ROUNDS = 3;

/** The repaired text and how many runs were replaced. */
export function repairMojibake(text: string): { text: string; repairs: number } {
  let repairs = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = repairs;
    text = text.replace(SEQUENCES, (run: string, offset: number, whole: string) => {
      const decoded = decodedRun(run);
      if (decoded === undefined || !isUnlikely(run, decoded, offset, whole)) return run;
      repairs++;
      return decoded;
    });
    if (repairs === before) break;
  }
  return { text, repairs };
}

function decodedRun(run: string): string | undefined {
  const bytes = new Uint8Array(run.length);
  for (let i = 0; i < run.length; i++) bytes[i] = BYTE_OF.get(run.charCodeAt(i)) ?? run.charCodeAt(i);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Whether `run`, at `offset` of `whole`, is less likely as text than what it decodes to. */
function isUnlikely(run: string, decoded: string, offset: number, whole: string): boolean {
  // Private use and unassigned characters are no repair.
  if (/[\p{Co}\p{Cn}]/u.test(decoded)) return false;
  if ([...decoded].length > 1) return true;
  const tail = run.slice(1).replace(FOLLOWS_LETTERS, '');
  const before = whole.charAt(offset - 1);
  const after = whole.charAt(offset + run.length);
  const isWithinWord = /\p{Ll}/u.test(before) && /\p{L}/u.test(after);
  if (run.length > 2) return tail.length > 0 || isWithinWord;
  const isCapitalInside = /\p{Ll}/u.test(before) && /\p{Lu}/u.test(run[0]!);
  return (
    isCapitalInside ||
    isWithinWord ||
    (tail.length > 0 && /[ÂÃ]/.test(run[0]!)) ||
    /[\u0080-\u009f]/.test(run)
  );
}
