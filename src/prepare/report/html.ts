/**
 * HTML that is safe by its type: `html` escapes every value that is put into it, unless that is HTML made by it. So nothing of
 * the data becomes markup, however hostile.
 */

/** A piece of HTML; only {@link html} makes it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Value = Html | string | number | undefined | false | readonly Value[];

/** A template whose values are escaped; lists are joined, undefined and false are nothing. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  const text = parts.map((part, at) => part + (at < values.length ? shown(values[at]) : ''));
  return new Html(text.join(''));
}

function shown(value: Value): string {
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(shown).join('');
  return value === undefined || value === false ? '' : escaped(String(value));
}

const MARKS: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
// Left-to-right marks and their like would let a text rearrange what stands around it; controls show nothing.
const UNSHOWN = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

function escaped(text: string): string {
  return text
    .replace(/[&<>"']/g, (mark) => MARKS[mark]!)
    .replace(UNSHOWN, (mark) => (mark === '\n' || mark === '\t' ? mark : '\ufffd'));
}
