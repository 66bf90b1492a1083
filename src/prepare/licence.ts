/** Licence comments at the head of code: every file of a source has the same, and a model learns nothing from it. */

const LICENCE =
  /@licen[sc]e|\blicensed under\b|\bcopyright\b|SPDX-License-Identifier|permission is hereby granted/i;
const LEADING_COMMENT = /^\s*(?:\/\*[\s\S]*?\*\/|(?:[ \t]*\/\/[^\n]*(?:\n|$))+)/;

/** Cuts comments that state a licence off the head of a code file; any other leading comment stays. */
export function withoutLicence(text: string): string {
  const head = /^#![^\n]*\n/.exec(text)?.[0] ?? '';
  let rest = text.slice(head.length);
  for (;;) {
    const comment = LEADING_COMMENT.exec(rest)?.[0];
    if (!comment || !LICENCE.test(comment)) return head + rest;
    rest = rest.slice(comment.length).replace(/^\s*\n/, '');
  }
}
