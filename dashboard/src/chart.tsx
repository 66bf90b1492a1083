/** A line chart over training steps: uPlot in the page's colours, as wide as its place, with a live legend. */
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { tickLabels } from './format.ts';
import type { Theme } from './theme.ts';

/** Of ticks over steps: 1, 2, 5, 10, ...; there is no half step. */
const STEP_INCREMENTS = Array.from({ length: 10 }, (_, i) => [1, 2, 5].map((each) => each * 10 ** i)).flat();

export interface Line {
  readonly label: string;
  /** a CSS custom property: `--series-1` */
  readonly color: string;
  readonly values: readonly (number | null)[];
  /** drawn with points and joined over gaps: for what is measured now and then */
  readonly sparse?: boolean;
}

interface ChartProps {
  readonly title: string;
  readonly steps: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** of the ticks, with this many digits after the point */
  readonly formatTick: (value: number, digits: number) => string;
  /** the axis begins at 0, so that small changes look small */
  readonly fromZero?: boolean;
  readonly height: number;
  readonly theme: Theme;
}

export function Chart(props: ChartProps) {
  const { title, steps, lines, format, height, theme } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = [steps, ...lines.map((line) => line.values)] as unknown as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;
  const shape = JSON.stringify([
    theme,
    height,
    lines.map(({ label, color, sparse }) => [label, color, sparse]),
  ]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` stands for the lines; their values come by setData
  useEffect(() => {
    const element = place.current!;
    const options = chartOptions(element, props);
    const created = new uPlot(options, latest.current, element);
    plot.current = created;
    const observer = new ResizeObserver(() => created.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      created.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => {
    plot.current?.setData(data);
    if (plot.current) showLast(plot.current);
  });
  const summary = lines.map((line) => {
    const last = line.values.findLast((value) => value !== null);
    return `${line.label} ${last === undefined || last === null ? 'not measured' : format(last)}`;
  });
  return (
    <figure className="chart" data-points={steps.length}>
      <figcaption>{title}</figcaption>
      <div ref={place} role="img" aria-label={`${title} by step; last: ${summary.join(', ')}`} />
    </figure>
  );
}

function chartOptions(element: HTMLElement, props: ChartProps): uPlot.Options {
  const { lines, format, formatTick, fromZero, height } = props;
  const style = getComputedStyle(element);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: color('--ink-soft'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height,
    scales: { x: { time: false }, y: fromZero ? { range: (_, _min, max) => [0, (max || 1) * 1.1] } : {} },
    padding: [8, 20, 0, 0],
    cursor: { points: { size: 7 }, drag: { x: true, y: false } },
    legend: { live: true },
    axes: [
      { ...axis, size: 28, space: 70, incrs: STEP_INCREMENTS, values: (_, ticks) => ticks.map(formatStep) },
      { ...axis, size: 58, values: (_, ticks) => tickLabels(ticks, formatTick) },
    ],
    hooks: { setCursor: [showLast] },
    series: [
      { label: 'step', value: (plot, _value, series, index) => legendText(plot, series, index, formatStep) },
      ...lines.map(
        (line): uPlot.Series => ({
          label: line.label,
          stroke: color(line.color),
          width: line.sparse ? 2 : 1.5,
          spanGaps: true,
          points: { show: line.sparse ?? false, size: 5, fill: color(line.color) },
          value: (plot, _value, series, index) => legendText(plot, series, index, format),
        }),
      ),
    ],
  };
}

/** Without a pointer on the chart the legend tells the end of the curves. */
function showLast(plot: uPlot): void {
  if (plot.cursor.idx == null && plot.data[0].length > 0)
    plot.setLegend({ idx: plot.data[0].length - 1 }, false);
}

/** The value at `index`, or the last one measured before it. */
function legendText(
  plot: uPlot,
  series: number,
  index: number | null,
  format: (value: number) => string,
): string {
  const values = plot.data[series]!;
  for (let i = index ?? -1; i >= 0; i--) {
    const value = values[i];
    if (value != null) return format(value);
  }
  return '–';
}

function formatStep(step: number): string {
  return step.toLocaleString('en');
}
