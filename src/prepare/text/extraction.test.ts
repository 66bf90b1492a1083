import { describe, expect, it } from 'vitest';
import { extractTexts } from '../extract.ts';
import { emailText } from './email.ts';
import { htmlText } from './html.ts';
import { latexText } from './latex.ts';
import { mailBody } from './mail-body.ts';
import { documentsOf, runStage, textsOf } from './testing/run-stage.ts';

describe('htmlText', () => {
  it('keeps the main text in blocks and drops what surrounds it', () => {
    const page = `<!doctype html><html><head><title>T</title><style>p{}</style></head><body>
      <nav><a href="/">Home</a></nav><div class="site-sidebar">side</div>
      <main><h1>A &amp; B</h1><p>First <b>bold</b>
      line.<br>Second.</p><script>let x = "<p>no</p>";</script>
      <ul><li>one<li>two</ul><pre>  code {
    x
}</pre><table><tr><th>a<th>b<tr><td>1<td>2</table><p hidden>gone</p><p style="display: none">gone</p></main>
      <ul><li><a>Terms</a><li><a>Privacy</a><li><a>Imprint</a></ul><footer>(c)</footer></body></html>`;
    expect(htmlText(page)).toBe(
      'A & B\n\nFirst bold line.\nSecond.\n\n- one\n- two\n\n  code {\n    x\n}\n\na\tb\n1\t2',
    );
  });

  it('drops link lists and keeps a page without main', () => {
    expect(
      htmlText('<body>text <ul><li><a>a</a><li><a>b</a><li><a>c</a></ul><p>more <a>link</a></body>'),
    ).toBe('text\n\nmore link');
    expect(htmlText('no tags < at all')).toBe('no tags < at all');
    expect(htmlText('')).toBe('');
  });

  it.each(['<div>', '<b><i>', '<a', '<!--', '<p>x', '</div>', '&', '<table><td>', '<main>a'])(
    'takes a megabyte of %s without harm',
    (unit) => {
      expect(htmlText(unit.repeat(1_000_000 / unit.length)).length).toBeLessThan(2_000_000);
    },
  );
});

describe('emailText', () => {
  const mail = (...lines: string[]) => emailText(Buffer.from(lines.join('\r\n'), 'latin1'));

  it('decodes the plain part of a mail and leaves headers and attachments', async () => {
    const text = await mail(
      'From joe@x.org  Thu Aug 22 12:36:23 2002',
      'From: Joe <joe@x.org>',
      'Subject: hi',
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary=X',
      '',
      '--X',
      'Content-Type: text/plain; charset=iso-8859-1',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Gr=FC=DFe aus=20',
      ' K=F6ln',
      '--X',
      'Content-Type: text/plain; name=a.txt',
      'Content-Disposition: attachment; filename=a.txt',
      '',
      'attached',
      '--X--',
    );
    expect(text).toBe('Grüße aus \n Köln');
  });

  it('reads other character sets, base64, and HTML where there is no plain part or it says so', async () => {
    const japanese = '\x1b$B$3$s$K$A$O\x1b(B';
    expect(await mail('Content-Type: text/plain; charset=iso-2022-jp', '', japanese)).toBe('こんにちは');
    const html = Buffer.from('<p>One</p><p>Two</p>').toString('base64');
    const head = 'Content-Transfer-Encoding: base64';
    expect(await mail('Content-Type: text/html; charset=utf-8', head, '', html)).toBe('One\n\nTwo');
    expect(await mail('Subject: x', '', '<html><body>Buy <b>now</b></body></html>')).toBe('Buy now');
  });

  it('gives nothing for what is no mail', async () => {
    expect(await emailText(new Uint8Array())).toBe('');
    expect(typeof (await emailText(Uint8Array.from({ length: 5000 }, (_, i) => (i * 37) % 256)))).toBe(
      'string',
    );
  });
});

describe('mail-body', () => {
  const cut = async (text: string, settings = {}) =>
    textsOf(await runStage(mailBody, settings, [documentsOf([text])]))[0];

  it('cuts quotations with their introduction, forwarded originals, signatures and list footers', async () => {
    const text = 'On Mon, Joe wrote:\n> old\n>> older\nJW> older still\n\nMy answer > 3.\n\n-- \nMe\nmy.org';
    expect(await cut(text)).toBe('My answer > 3.');
    expect(await cut('Hi\n\n-----Original Message-----\nFrom: x\nold')).toBe('Hi');
    expect(await cut(`Hi\n${'_'.repeat(47)}\nILUG list\nhttp://x`)).toBe('Hi');
    expect(await cut('> only\n> quoted')).toBe('(only_quotes)');
  });

  it('keeps what it is told and what looks alike', async () => {
    const text = 'a -> b\n  x > y\n-- no mark\nHe wrote:\nnothing';
    expect(await cut(text)).toBe(text);
    expect(await cut('> q\n\n-- \nme', { quotes: 'keep', signatures: 'keep' })).toBe('> q\n\n-- \nme');
  });
});

describe('latexText', () => {
  it('keeps prose and mathematics and strips commands', () => {
    const source =
      String.raw`\documentclass[a4paper]{article}\usepackage{amsmath}
\begin{document}
\section*{On \emph{primes}}\label{sec:a}
Let $p_1 < \dots$ be ` +
      "``prime'' % comment\n" +
      String.raw`as in~\cite[p.~3]{euclid}; 50\% of M\"uller \& Erd\H{o}s, na\"{\i}ve.
\begin{equation}\label{e} a^2 % kept
\end{equation}
\begin{itemize}\item One \item[x] Two\end{itemize}
\begin{tikzpicture}\draw (0,0);\end{tikzpicture}
\begin{verbatim}
if (x) { y }
\end{verbatim}
\[ x \] and $$y$$ end.
\end{document} rest`;
    const text = latexText(source);
    expect(text).toContain('On primes\n');
    expect(text).toContain('Let $p_1 < \\dots$ be “prime” as in ; 50% of Müller & Erdős, naïve.');
    expect(text).toContain('\\begin{equation}\\label{e} a^2 % kept\n\\end{equation}');
    expect(text).toContain('- One\n- Two');
    expect(text).toContain('if (x) { y }');
    expect(text.endsWith('\\[ x \\] and $$y$$ end.')).toBe(true);
    expect(text).not.toMatch(/draw|rest|label\{sec|cite|usepackage/);
  });

  it('takes broken LaTeX as it comes', () => {
    expect(latexText('a $ b \\begin{equation} c { d \\cite{e \\')).toBe('a $ b c d e');
    expect(latexText('')).toBe('');
  });

  it.each(['\\', '$', '{', '\\begin{equation}', '\\cite{', '\\begin{', '%', '$a\\$', '``', ' \n', '\\cite['])(
    'takes a megabyte of %s without harm',
    (unit) => {
      expect(latexText(unit.repeat(1_000_000 / unit.length)).length).toBeLessThan(2_000_000);
    },
  );
});

it('are formats of sources', async () => {
  expect(await extractTexts('html', '<p>a</p>')).toEqual(['a\n']);
  expect(await extractTexts('latex', '\\emph{a}')).toEqual(['a\n']);
  const mail = Buffer.from('Content-Type: text/plain; charset=latin1\n\n\xe9', 'latin1');
  expect(await extractTexts('email', 'ignored', mail)).toEqual(['é\n']);
});
