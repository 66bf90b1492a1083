/** Light cleaning: what is dropped, what is cut, and how each reject is named in the manifest. */
import type { FilterConfig } from './config.ts';
import type { Format } from './source-config.ts';

export const REJECT_REASONS = ['minified', 'too_short', 'duplicate', 'over_limit'] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

/** Why a file is not worth extracting, or undefined. */
export function rejectFile(format: Format, text: string, filters: FilterConfig): RejectReason | undefined {
  return format === 'code' && hasLongLine(text, filters.maxLineLength) ? 'minified' : undefined;
}

/** Why an extracted document is not kept, or undefined. */
export function rejectDocument(text: string, filters: FilterConfig): RejectReason | undefined {
  return Buffer.byteLength(text.trim()) < filters.minDocumentBytes ? 'too_short' : undefined;
}

/** Whether a line is longer than `limit` characters. */
function hasLongLine(text: string, limit: number): boolean {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    if ((end < 0 ? text.length : end) - start > limit) return true;
    if (end < 0) return false;
    start = end + 1;
  }
  return false;
}

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
