/** Paragraphs: runs of lines that are not blank. */

/** Where the paragraphs of `text` start and end, in pairs, without the newline after them. */
export function paragraphRanges(text: string): number[] {
  const ranges: number[] = [];
  let start = -1;
  let end = 0;
  for (let at = 0; at <= text.length; ) {
    let stop = text.indexOf('\n', at);
    if (stop < 0) stop = text.length;
    if (isBlank(text, at, stop)) {
      if (start >= 0) ranges.push(start, end);
      start = -1;
    } else {
      if (start < 0) start = at;
      end = stop;
    }
    at = stop + 1;
  }
  if (start >= 0) ranges.push(start, end);
  return ranges;
}

/** The text without the paragraphs `drop` says, each with the blank lines after it. */
export function withoutParagraphs(text: string, drop: (paragraph: number) => boolean): string {
  const ranges = paragraphRanges(text);
  let kept = text.slice(0, ranges[0] ?? text.length);
  for (let i = 0; i < ranges.length; i += 2) {
    if (!drop(i / 2)) kept += text.slice(ranges[i], ranges[i + 2] ?? text.length);
  }
  return kept;
}

function isBlank(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit !== 32 && unit !== 9 && unit !== 13) return false;
  }
  return true;
}
