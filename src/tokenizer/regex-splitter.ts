/**
 * Splitting by the patterns of a tokenizer.json that have no scanner of their own (split.ts): the engine's regular expressions,
 * one rule after the other, each within the pieces of the rule before, as Hugging Face's pre-tokenizers do.
 */
import { WIDTH_MASK } from './char-classes.ts';
import { translateRegex } from './regex-dialect.ts';
import { Splitter } from './split.ts';

export type SplitBehavior = 'Isolated' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';

/** A pre-tokenizer: what matches and what stands between matches become pieces. */
export interface SplitRule {
  /** in Oniguruma's dialect, as files have it */
  readonly regex: string;
  readonly behavior: SplitBehavior;
  /** matches count as what stands between, and the other way round; default false */
  readonly invert?: boolean;
}

/** A piece that ends at `end`. */
interface Part {
  end: number;
  readonly isMatch: boolean;
}

export class RegexSplitter extends Splitter {
  private readonly rules: readonly (SplitRule & { readonly pattern: RegExp })[];
  /** ends of the pieces of the text at hand, in bytes */
  private ends: readonly number[] = [];
  private next = 0;

  /** @throws DialectError for a pattern that has no translation */
  constructor(rules: readonly SplitRule[]) {
    super();
    this.rules = rules.map((rule) => ({ ...rule, pattern: translateRegex(rule.regex) }));
  }

  override begin(bytes: Uint8Array, end: number): void {
    const { text, widths } = this.decode(bytes, end);
    let ends = [text.length];
    for (const rule of this.rules) {
      let start = 0;
      ends = ends.flatMap((partEnd) => {
        const inner = splitBy(rule, text.slice(start, partEnd)).map((each) => start + each);
        start = partEnd;
        return inner;
      });
    }
    this.ends = byteEnds(text, ends, widths);
    this.next = 0;
  }

  pieceEnd(_bytes: Uint8Array, start: number): number {
    while (this.ends[this.next]! <= start) this.next++;
    return this.ends[this.next]!;
  }

  /** Nothing is known of the patterns. */
  override safeCut(_bytes: Uint8Array, _from: number, end: number): number {
    return end;
  }

  /** The text, and bytes of each character where they are not those of its UTF-8. */
  private decode(bytes: Uint8Array, end: number): { text: string; widths?: Uint8Array } {
    const part = bytes.subarray(0, end);
    try {
      return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(part) };
    } catch {
      let text = '';
      const widths: number[] = [];
      for (let at = 0; at < end; ) {
        const width = this.classes.at(bytes, at, end) & WIDTH_MASK;
        const char = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(at, at + width));
        // A wrong sequence is one replacement character, whatever its width.
        text += [...char].length === 1 ? char : '\ufffd';
        widths.push(width);
        at += width;
      }
      return { text, widths: Uint8Array.from(widths) };
    }
  }
}

/** Ends of the pieces of one text, in UTF-16 units. */
function splitBy(
  { pattern, behavior, invert = false }: SplitRule & { readonly pattern: RegExp },
  text: string,
): number[] {
  const parts: Part[] = [];
  let start = 0;
  for (const match of text.matchAll(pattern)) {
    const end = match.index + match[0].length;
    if (end === match.index) continue;
    if (match.index > start) parts.push({ end: match.index, isMatch: invert });
    parts.push({ end, isMatch: !invert });
    start = end;
  }
  if (start < text.length) parts.push({ end: text.length, isMatch: invert });
  return joined(parts, behavior).map((part) => part.end);
}

function joined(parts: readonly Part[], behavior: SplitBehavior): readonly Part[] {
  if (behavior === 'Isolated') return parts;
  const result: Part[] = [];
  for (const [i, part] of parts.entries()) {
    const before = parts[i - 1];
    const joins =
      before !== undefined &&
      ((behavior === 'Contiguous' && before.isMatch === part.isMatch) ||
        (behavior === 'MergedWithPrevious' && part.isMatch && !before.isMatch) ||
        (behavior === 'MergedWithNext' && before.isMatch && !part.isMatch));
    if (joins) result.at(-1)!.end = part.end;
    else result.push({ ...part });
  }
  return result;
}

/** Ends in UTF-16 units as ends in bytes. */
function byteEnds(text: string, ends: readonly number[], widths?: Uint8Array): number[] {
  let unit = 0;
  let byte = 0;
  let character = 0;
  return ends.map((end) => {
    while (unit < end) {
      const code = text.codePointAt(unit)!;
      byte += widths ? widths[character]! : code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      unit += code < 0x10000 ? 1 : 2;
      character++;
    }
    return byte;
  });
}
