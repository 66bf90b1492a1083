/**
 * From a decoded file to the plain texts it holds, by format. Light on purpose: what is boilerplate in
 * every file of a source goes (comments, link tables, import lines), the prose and code stay as written.
 */
import type { TextFormat } from './source-config.ts';
import { emailText } from './text/email.ts';
import { htmlText } from './text/html.ts';
import { latexText } from './text/latex.ts';

/** WordNet's glosses are one line each; this many make a document of about 6 KB. */
const GLOSSES_PER_DOCUMENT = 64;

/**
 * The documents in one file, in its order; trimmed but for `text`, which stays as it is.
 * @param bytes the file as it was read, for `email`: its parts say themselves how they are encoded
 */
export function extractTexts(
  format: TextFormat,
  text: string,
  bytes: Uint8Array = Buffer.from(text),
): string[] | Promise<string[]> {
  switch (format) {
    case 'text':
      return [text];
    case 'code':
      return [`${text.trim()}\n`];
    case 'markdown':
      return [tidy(withoutComments(text))];
    case 'mdx':
      return [tidy(mdxText(text))];
    case 'json-text':
      return [tidy(jsonText(text))];
    case 'wordnet':
      return wordnetTexts(text);
    case 'stdlib-readme':
      return [tidy(stdlibText(text))];
    case 'html':
      return [`${htmlText(text)}\n`];
    case 'latex':
      return [`${latexText(text)}\n`];
    case 'email':
      return emailText(bytes).then((body) => [`${body}\n`]);
  }
}

function tidy(text: string): string {
  return `${text
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`;
}

function withoutComments(text: string): string {
  return text.replace(/<!--[\s\S]*?-->/g, '');
}

/** Front matter keeps its title and description; imports, JSX comments and lines of bare tags go; code blocks stay. */
function mdxText(text: string): string {
  const [, front] = /^---\n([\s\S]*?)\n---\n/.exec(text) ?? [];
  const body = front === undefined ? text : text.slice(front.length + 9);
  const description = /^description:\s*(.+)$/m.exec(front ?? '')?.[1]?.replace(/^(['"])(.*)\1$/, '$2');
  return [...(description ? [description, ''] : []), outsideCode(body, mdxProse)].join('\n');
}

function mdxProse(prose: string): string {
  return withoutComments(prose)
    .replace(/\{\/\*[\s\S]*?\*\/\}/g, '')
    .replace(/^(?:import|export) .*$/gm, '')
    .replace(/<(?:PropertiesTable|Snippet|ExampleLinks|IndexCards)\b[\s\S]*?\n?\/>/g, '')
    .replace(/^[ \t]*<\/?[A-Za-z][^<>]*>[ \t]*$/gm, '');
}

/** Applies `change` to what stands between fenced code blocks. */
function outsideCode(text: string, change: (prose: string) => string): string {
  return text
    .split(/(^ *```[\s\S]*?^ *```[ \t]*$)/m)
    .map((part, index) => (index % 2 ? part : change(part)))
    .join('');
}

/**
 * Every string under a key `text`, one a line, led by the keys on the way to it without the topmost (a chapter);
 * '' where the file is not JSON.
 */
function jsonText(text: string): string {
  const lines: string[] = [];
  const walk = (value: unknown, headings: readonly string[]): void => {
    if (!value || typeof value !== 'object') return;
    for (const [key, each] of Object.entries(value)) {
      if (key === 'text' && typeof each === 'string' && each.trim()) {
        const shown = headings.length > 1 ? headings.slice(1) : headings;
        lines.push(shown.length > 0 ? `${shown.join(', ')}: ${plain(each)}` : plain(each));
      } else walk(each, Array.isArray(value) ? headings : [...headings, key]);
    }
  };
  try {
    walk(JSON.parse(text), []);
  } catch {
    return '';
  }
  return lines.join('\n');
}

function plain(html: string): string {
  return unescaped(html.replace(/<br\s*\/?>/gi, '\n').replace(/<[^<>]*>/g, '')).trim();
}

function unescaped(text: string): string {
  return text
    .replace(/&nbsp;/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&amp;/g, '&');
}

/** `words: gloss` lines of a WordNet data file (wndb(5WN)): hex word count in column 4, gloss after `|`. */
function wordnetTexts(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const bar = line.indexOf(' | ');
    if (line.startsWith(' ') || bar < 0) continue;
    const fields = line.slice(0, bar).split(' ');
    const numWords = Number.parseInt(fields[3] ?? '', 16);
    if (!(numWords > 0)) continue;
    const words = Array.from({ length: numWords }, (_, i) => fields[4 + 2 * i] ?? '');
    const shown = words.map((word) => word.replace(/\((?:a|p|ip)\)$/, '').replaceAll('_', ' '));
    lines.push(`${shown.join(', ')}: ${line.slice(bar + 3).trim()}`);
  }
  const documents: string[] = [];
  for (let i = 0; i < lines.length; i += GLOSSES_PER_DOCUMENT) {
    documents.push(`${lines.slice(i, i + GLOSSES_PER_DOCUMENT).join('\n')}\n`);
  }
  return documents;
}

/** A stdlib README without licence, links, related packages, examples' lint marks and html; equations as LaTeX. */
function stdlibText(text: string): string {
  const equations = text
    .replace(
      /<!-- <equation [^\n]*?\braw="([^"]*)"[^\n]*-->[\s\S]*?<!-- <\/equation> -->/g,
      (_, latex: string) => `$$${latex}$$`,
    )
    .replace(
      /<div class="equation"[^>]*data-raw-text="([^"]*)"[\s\S]*?<\/div>/g,
      (_, latex: string) => `$$${latex}$$`,
    );
  return unescaped(
    withoutComments(equations)
      .replace(/<section class="(?:links|related)">[\s\S]*?(?:<\/section>|$(?![\s\S]))/g, '')
      .replace(/<\/?(?:section|div|img|br|p|details|summary)\b[^>]*>/g, '')
      .replace(/^\[[^\]]+\]: +\S.*$/gm, '')
      .replace(/!\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/\[([^\][]+)\]\[[^\]]*\]/g, '$1')
      .replace(/^\* \* \*$/gm, ''),
  );
}
