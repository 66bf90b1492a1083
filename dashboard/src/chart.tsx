/** A line chart over training steps: uPlot in the page's colours, as wide as its place, with a live legend. */
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import type { Theme } from './theme.ts';

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
  readonly height: number;
  readonly theme: Theme;
}

export function Chart({ title, steps, lines, format, height, theme }: ChartProps) {
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
    const options = chartOptions(element, lines, format, height);
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

function chartOptions(
  element: HTMLElement,
  lines: readonly Line[],
  format: (value: number) => string,
  height: number,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: color('--ink-soft'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  };
  const shown = (value: number | null | undefined): string => (value == null ? '–' : format(value));
  return {
    width: element.clientWidth,
    height,
    scales: { x: { time: false } },
    padding: [8, 12, 0, 0],
    cursor: { points: { size: 7 }, drag: { x: true, y: false } },
    legend: { live: true },
    axes: [
      { ...axis, size: 28, space: 70, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString('en')) },
      { ...axis, size: 58, values: (_, ticks) => ticks.map(format) },
    ],
    series: [
      { label: 'step', value: (_, value) => (value == null ? '–' : value.toLocaleString('en')) },
      ...lines.map(
        (line): uPlot.Series => ({
          label: line.label,
          stroke: color(line.color),
          width: line.sparse ? 2 : 1.5,
          spanGaps: true,
          points: { show: line.sparse ?? false, size: 5, fill: color(line.color) },
          value: (_, value) => shown(value),
        }),
      ),
    ],
  };
}
