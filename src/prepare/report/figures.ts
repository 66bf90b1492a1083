/** Figures of the report: horizontal bars as inline SVG, with their labels as text beside them, so that they stay readable when narrow. */
import { type Html, html } from './html.ts';

export type Colour = 'kept' | 'gone' | 'other';

export interface Bar {
  readonly label: string;
  /** parts of the bar from the left, in the unit of all bars */
  readonly parts: readonly { readonly value: number; readonly colour: Colour }[];
  /** what stands at the right */
  readonly text: string;
}

const WIDTH = 1000;

/** Bars on one scale: the longest is full. */
export function bars(title: string, rows: readonly Bar[]): Html {
  const longest = Math.max(
    ...rows.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0)),
    1e-9,
  );
  return html`<div class="bars" role="group" aria-label="${title}">
${rows.map(
  (
    row,
  ) => html`<span class="label">${row.label}</span>${drawn(row, longest)}<span class="number">${row.text}</span>
`,
)}</div>`;
}

function drawn({ label, parts, text }: Bar, longest: number): Html {
  let x = 0;
  const rects = parts.map(({ value, colour }) => {
    const width = (WIDTH * value) / longest;
    const rect = html`<rect class="${colour}" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="16"/>`;
    x += width;
    return rect;
  });
  return html`<svg viewBox="0 0 ${WIDTH} 16" preserveAspectRatio="none" role="img" aria-label="${label}: ${text}">${rects}</svg>`;
}

export function legend(entries: readonly (readonly [Colour, string])[]): Html {
  return html`<div class="legend">${entries.map(
    ([colour, text]) =>
      html`<span><svg viewBox="0 0 1 1" aria-hidden="true"><rect class="${colour}" width="1" height="1"/></svg>${text}</span>`,
  )}</div>`;
}
