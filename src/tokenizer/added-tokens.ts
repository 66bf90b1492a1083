/**
 * Added tokens: texts that are one token wherever they stand, found before a text is split. Special ones are control tokens, and
 * found only where the caller allows it; the others (such as `<tool_call>`) are found always.
 *
 * As in Hugging Face tokenizers: first those that are sought in the text as it is, then, in what is left and normalised, the others;
 * the leftmost match wins, of those the longest.
 */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** a control token: text becomes it only when asked for */
  readonly special: boolean;
  /** sought in the normalised text */
  readonly normalized: boolean;
  /** takes the white space before it */
  readonly lstrip: boolean;
  /** takes the white space after it */
  readonly rstrip: boolean;
  /** no letter, digit or underscore may stand beside it */
  readonly singleWord: boolean;
}

/** What {@link AddedTokens.visit} finds, in order. */
export interface SpanVisitor {
  /** a text between added tokens, normalised, not empty; `isFirst`: the whole text begins with it */
  text(span: string, isFirst: boolean): void;
  token(id: number): void;
}

type Normalize = (text: string) => string;

/** Special tokens of the plain kind, in the order of their ids. */
export function plainSpecialTokens(ids: ReadonlyMap<string, number>): AddedToken[] {
  const sorted = [...ids].sort((a, b) => a[1] - b[1]);
  return sorted.map(([content, id]) => addedToken({ content, id, special: true }));
}

/** An added token without stripping, sought in the text as it is. */
export function addedToken(token: Pick<AddedToken, 'id' | 'content' | 'special'>): AddedToken {
  return { ...token, normalized: false, lstrip: false, rstrip: false, singleWord: false };
}

export class AddedTokens {
  /** some are found in every text */
  readonly hasOrdinary: boolean;
  private readonly raw: Finder;
  private readonly normalized: Finder;
  private readonly normalize: Normalize;
  private readonly ordinary: readonly string[];

  constructor(tokens: readonly AddedToken[], normalize: Normalize = (text) => text) {
    this.normalize = normalize;
    this.raw = new Finder(
      tokens.filter((token) => !token.normalized),
      (text) => text,
    );
    this.normalized = new Finder(
      tokens.filter((token) => token.normalized),
      normalize,
    );
    this.ordinary = tokens.filter((token) => !token.special).map((token) => token.content);
    this.hasOrdinary = this.ordinary.length > 0;
  }

  /**
   * Gives `visitor` the spans of `text`, special tokens as text unless `allowSpecial`.
   * @param isFirst nothing stands before `text`
   */
  visit(text: string, allowSpecial: boolean, visitor: SpanVisitor, isFirst = true): void {
    const token = (id: number) => {
      isFirst = false;
      visitor.token(id);
    };
    this.raw.visit(text, allowSpecial, token, (span) => {
      this.normalized.visit(this.normalize(span), allowSpecial, token, (part) => {
        visitor.text(part, isFirst);
        isFirst = false;
      });
    });
  }

  /** Whether an ordinary added token may stand across `cut`, or end or begin there. */
  mayCross(bytes: Uint8Array, cut: number): boolean {
    if (!this.hasOrdinary) return false;
    const longest = this.ordinary.reduce((most, text) => Math.max(most, text.length), 0) * 3;
    const from = Math.max(0, cut - longest);
    const text = Buffer.from(bytes.subarray(from, cut + longest)).toString();
    const place = Buffer.from(bytes.subarray(from, cut)).toString().length;
    return this.ordinary.some((content) => {
      const at = text.indexOf(content, place - content.length);
      return at >= 0 && at <= place;
    });
  }
}

/** Finds some tokens in texts. */
class Finder {
  private readonly any: RegExp | undefined;
  private readonly ordinary: RegExp | undefined;
  private readonly tokens: ReadonlyMap<string, AddedToken>;

  constructor(tokens: readonly AddedToken[], normalize: Normalize) {
    const contents = tokens.map((token) => normalize(token.content));
    this.tokens = new Map(tokens.map((token, i) => [contents[i]!, token]));
    this.any = patternOfAny(contents);
    // Without an ordinary one there is nothing to look for where special ones are not allowed.
    this.ordinary = tokens.some((token) => !token.special) ? this.any : undefined;
  }

  visit(
    text: string,
    allowSpecial: boolean,
    onToken: (id: number) => void,
    onText: (span: string) => void,
  ): void {
    let start = 0;
    const pattern = allowSpecial ? this.any : this.ordinary;
    for (const match of pattern ? text.matchAll(pattern) : []) {
      const token = this.tokens.get(match[0])!;
      let begin = match.index;
      let end = begin + match[0].length;
      if ((token.special && !allowSpecial) || (token.singleWord && isInWord(text, begin, end))) continue;
      if (token.lstrip) begin = Math.max(start, begin - spacesBefore(text, begin));
      if (token.rstrip) end += text.slice(end).match(/^\p{White_Space}*/u)![0].length;
      if (begin > start) onText(text.slice(start, begin));
      onToken(token.id);
      start = end;
    }
    if (start < text.length) onText(start === 0 ? text : text.slice(start));
  }
}

/** A pattern that finds any of `texts`, the longest first; undefined for none. */
export function patternOfAny(texts: readonly string[]): RegExp | undefined {
  if (texts.length === 0) return undefined;
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'), 'gu');
}

const WORD = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const ENDS_WITH_WORD = new RegExp(`${WORD}$`, 'u');
const STARTS_WITH_WORD = new RegExp(`^${WORD}`, 'u');

function isInWord(text: string, begin: number, end: number): boolean {
  return (
    ENDS_WITH_WORD.test(text.slice(Math.max(0, begin - 2), begin)) ||
    STARTS_WITH_WORD.test(text.slice(end, end + 2))
  );
}

function spacesBefore(text: string, at: number): number {
  let begin = at;
  while (begin > 0 && /\p{White_Space}/u.test(text[begin - 1]!)) begin--;
  return at - begin;
}
