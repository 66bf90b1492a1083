/**
 * The text of a LaTeX file: comments, the preamble, references and layout go, headings and the arguments of text commands stay, and mathematics stays as
 * it is written (`$...$`, `\[...\]`, equation environments). One pass from left to right, in linear time.
 * Limits: macros are not expanded; what stands in drawings, tables and the bibliography goes; TeX that changes its own syntax is not understood.
 */

const MATHS = new Set(
  'equation align alignat gather multline eqnarray displaymath math flalign split cases array matrix pmatrix bmatrix vmatrix'.split(
    ' ',
  ),
);
const LITERAL = new Set('verbatim lstlisting minted Verbatim alltt'.split(' '));
const DROPPED = new Set(
  'tikzpicture picture tabular tabularx longtable thebibliography comment filecontents pspicture'.split(' '),
);
/** Commands that go with their arguments. */
const WITHOUT_ARGUMENTS = new Set(
  (
    'cite citep citet citeauthor citeyear nocite ref eqref autoref cref Cref pageref label index glossary includegraphics input include bibliography ' +
    'bibliographystyle usepackage documentclass newcommand renewcommand providecommand def newtheorem newenvironment DeclareMathOperator setlength addtolength ' +
    'vspace hspace setcounter addtocounter pagestyle thispagestyle hypersetup graphicspath date thanks rule color definecolor phantom vphantom hphantom'
  ).split(' '),
);
const HEADINGS = new Set(
  'part chapter section subsection subsubsection paragraph subparagraph title caption item par'.split(' '),
);
const SYMBOLS: Readonly<Record<string, string>> = {
  ss: 'ß',
  ae: 'æ',
  AE: 'Æ',
  oe: 'œ',
  OE: 'Œ',
  o: 'ø',
  O: 'Ø',
  aa: 'å',
  AA: 'Å',
  l: 'ł',
  L: 'Ł',
  i: 'ı',
  S: '§',
  dots: '…',
  ldots: '…',
  textellipsis: '…',
  LaTeX: 'LaTeX',
  TeX: 'TeX',
  textbackslash: '\\',
  textasciitilde: '~',
  copyright: '©',
  pounds: '£',
  euro: '€',
};
const ACCENTS: Readonly<Record<string, string>> = {
  '`': '\u0300',
  "'": '\u0301',
  '^': '\u0302',
  '~': '\u0303',
  '"': '\u0308',
  '=': '\u0304',
  '.': '\u0307',
  u: '\u0306',
  v: '\u030c',
  H: '\u030b',
  c: '\u0327',
  k: '\u0328',
  r: '\u030a',
  d: '\u0323',
  b: '\u0331',
};

/** The text with its mathematics; '' where there is none. */
export function latexText(source: string): string {
  const begin = source.indexOf('\\begin{document}');
  const end = source.indexOf('\\end{document}');
  const body = source.slice(begin < 0 ? 0 : begin + 16, end < 0 ? source.length : end);
  return new LatexScanner(body)
    .scan()
    .replace(/``/g, '“')
    .replace(/''/g, '”')
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

class LatexScanner {
  private readonly text: string;
  private at = 0;
  private readonly out: string[] = [];
  /** what does not occur any more, so that it is looked for once */
  private readonly absent = new Set<string>();

  constructor(text: string) {
    this.text = text;
  }

  scan(): string {
    const special = /[\\%${}~&]/g;
    while (this.at < this.text.length) {
      special.lastIndex = this.at;
      const found = special.exec(this.text);
      const stop = found?.index ?? this.text.length;
      this.out.push(this.text.slice(this.at, stop));
      this.at = stop + 1;
      if (found) this.handle(found[0]);
    }
    return this.out.join('');
  }

  private handle(character: string): void {
    if (character === '%') this.skipComment();
    else if (character === '$') this.copyMaths();
    else if (character === '~' || character === '&') this.out.push(' ');
    else if (character === '\\') this.command();
  }

  /** A comment takes its line end with it. */
  private skipComment(): void {
    const end = this.find('\n', this.at);
    this.at = end < 0 ? this.text.length : end + (this.text[end + 1] === '\n' ? 0 : 1);
  }

  private copyMaths(): void {
    const mark = this.text[this.at] === '$' ? '$$' : '$';
    const start = this.at - 1;
    let end = this.find(mark, start + mark.length);
    while (end > 0 && this.text[end - 1] === '\\') end = this.find(mark, end + 1);
    if (end < 0) this.out.push('$');
    else this.copyTo(start, end + mark.length);
  }

  private copyTo(start: number, end: number): void {
    this.out.push(this.text.slice(start, end));
    this.at = end;
  }

  private command(): void {
    const start = this.at - 1;
    const first = this.text[this.at] ?? '';
    if (!/[A-Za-z]/.test(first)) {
      this.at++;
      this.controlSymbol(first, start);
      return;
    }
    let end = this.at;
    while (/[A-Za-z]/.test(this.text[end] ?? '')) end++;
    const name = this.text.slice(this.at, end);
    this.at = this.text[end] === '*' ? end + 1 : end;
    if (name === 'begin' || name === 'end') this.environment(name, start);
    else if (WITHOUT_ARGUMENTS.has(name)) this.skipArguments();
    else if (ACCENTS[name] && /[\s{]/.test(this.text[this.at] ?? '')) this.accent(ACCENTS[name]!);
    else if (name in SYMBOLS) this.symbol(SYMBOLS[name]!);
    else {
      if (HEADINGS.has(name)) this.out.push(name === 'item' ? '\n- ' : '\n\n');
      this.skipGroup('[', ']');
    }
  }

  private controlSymbol(symbol: string, start: number): void {
    if (symbol === '\\') this.out.push('\n');
    else if (symbol === '[' || symbol === '(') {
      const close = symbol === '[' ? '\\]' : '\\)';
      const end = this.find(close, this.at);
      if (end >= 0) this.copyTo(start, end + 2);
    } else if (ACCENTS[symbol]) this.accent(ACCENTS[symbol]!);
    else if (/[%&$#_{}]/.test(symbol)) this.out.push(symbol);
    else if (/[,;:! ]/.test(symbol)) this.out.push(' ');
  }

  private environment(name: string, start: number): void {
    const close = this.find('}', this.at);
    if (this.text[this.at] !== '{' || close < 0 || close - this.at > 60) return;
    const environment = this.text.slice(this.at + 1, close);
    this.at = close + 1;
    const base = environment.replace(/\*$/, '');
    const isCopied = MATHS.has(base) || LITERAL.has(base);
    if (name === 'begin' && (isCopied || DROPPED.has(base))) {
      const end = this.find(`\\end{${environment}}`, this.at);
      if (end < 0) return;
      const after = end + environment.length + 6;
      if (MATHS.has(base)) this.copyTo(start, after);
      else if (LITERAL.has(base)) this.copyTo(this.at, end);
      this.at = after;
    } else {
      this.skipGroup('[', ']');
      this.out.push('\n');
    }
  }

  private accent(mark: string): void {
    while (/[\s{]/.test(this.text[this.at] ?? '')) this.at++;
    if (this.text[this.at] === '\\' && /[ij]/.test(this.text[this.at + 1] ?? '')) this.at++;
    const letter = this.text[this.at] ?? '';
    this.at += letter.length;
    this.out.push((letter + mark).normalize('NFC'));
  }

  private symbol(symbol: string): void {
    this.out.push(symbol);
    if (this.text[this.at] === ' ') this.at++;
  }

  private skipArguments(): void {
    while (this.skipGroup('[', ']') || this.skipGroup('{', '}'));
  }

  /** Skips a balanced group that stands here, of a bounded length. */
  private skipGroup(open: string, close: string): boolean {
    if (this.text[this.at] !== open) return false;
    const limit = Math.min(this.text.length, this.at + 2000);
    for (let depth = 0, i = this.at; i < limit; i++) {
      if (this.text[i] === '\\') i++;
      else if (this.text[i] === open) depth++;
      else if (this.text[i] === close && --depth === 0) {
        this.at = i + 1;
        return true;
      }
    }
    return false;
  }

  private find(part: string, from: number): number {
    if (this.absent.has(part)) return -1;
    const found = this.text.indexOf(part, from);
    if (found < 0) this.absent.add(part);
    return found;
  }
}
