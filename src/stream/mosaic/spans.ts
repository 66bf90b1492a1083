/** Runs of sample numbers, and how MosaicML cuts them at the borders of canonical nodes. */

/** Numbers `begin` to `end - 1`. */
export interface Span {
  readonly begin: number;
  readonly end: number;
}

/** One span a shard, in order. */
export function spansOf(sizes: readonly number[]): Span[] {
  let begin = 0;
  return sizes.map((size) => {
    const span = { begin, end: begin + size };
    begin = span.end;
    return span;
  });
}

/** The spans of each of `count` nodes: node p ends with sample N·(p + 1)/count of the spans put end to end. */
export function divideSpans(spans: readonly Span[], count: number): Span[][] {
  const total = spans.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const nodes: Span[][] = [];
  let next = 0;
  let taken = 0;
  let rest: Span | undefined;
  for (let node = 1; node <= count; node++) {
    const border = Math.floor((total * node) / count);
    const own: Span[] = [];
    for (; next < spans.length; next++) {
      const span = rest ?? spans[next]!;
      const size = span.end - span.begin;
      if (taken + size > border) {
        const cut = span.begin + border - taken;
        if (cut > span.begin) own.push({ begin: span.begin, end: cut });
        rest = { begin: cut, end: span.end };
        taken = border;
        break;
      }
      own.push(span);
      taken += size;
      rest = undefined;
    }
    nodes.push(own);
  }
  return nodes;
}
