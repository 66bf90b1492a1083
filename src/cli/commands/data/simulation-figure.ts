/** A simulated run as an SVG picture: throughput above, downloads below, over time. No script, no font of its own. */
import type { Simulation } from '../../../stream/index.ts';
import { formatBytes, formatSeconds } from '../../output.ts';

const WIDTH = 800;
const HEIGHT = 220;
const LEFT = 70;
const RIGHT = 20;
const TOP = 30;
const GAP = 50;

interface Panel {
  readonly title: string;
  readonly top: number;
  /** one value an interval */
  readonly values: readonly number[];
  readonly format: (value: number) => string;
}

export function simulationFigure({ timeline, totalSeconds, timeToFirstBatchSeconds }: Simulation): string {
  const starts = timeline.map((_, i) => (i === 0 ? timeToFirstBatchSeconds : timeline[i - 1]!.endSeconds));
  const seconds = timeline.map(({ endSeconds }, i) => endSeconds - starts[i]!);
  const steps = timeline.map(({ endStep }, i) => endStep - (timeline[i - 1]?.endStep ?? 0));
  const times = [timeToFirstBatchSeconds, ...timeline.map((each) => each.endSeconds)];
  const panels: Panel[] = [
    {
      title: 'steps a second',
      top: TOP,
      values: steps.map((count, i) => count / Math.max(1e-9, seconds[i]!)),
      format: (value) => value.toPrecision(3),
    },
    {
      title: 'downloads of all nodes, bytes a second',
      top: TOP + HEIGHT + GAP,
      values: timeline.map(({ downloadBytes }, i) => downloadBytes / Math.max(1e-9, seconds[i]!)),
      format: formatBytes,
    },
  ];
  const height = TOP + 2 * HEIGHT + GAP + 30;
  const body = panels.map((panel) => drawPanel(panel, times, totalSeconds)).join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${body}
</svg>
`;
}

/** A line of steps: each value holds from one time to the next. */
function drawPanel({ title, top, values, format }: Panel, times: readonly number[], end: number): string {
  const most = Math.max(1e-9, ...values);
  const x = (time: number) => (LEFT + (time / end) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (value: number) => (top + HEIGHT - (value / most) * HEIGHT).toFixed(1);
  const path = values.map((value, i) => `H${x(times[i]!)}V${y(value)}H${x(times[i + 1]!)}`).join('');
  const label = (at: number, value: number) =>
    `<text x="${LEFT - 6}" y="${at}" text-anchor="end">${format(value)}</text>`;
  const bottom = top + HEIGHT;
  return [
    `<text x="${LEFT}" y="${top - 8}" font-weight="bold">${title}</text>`,
    `<path d="M${LEFT} ${top}V${bottom}H${WIDTH - RIGHT}" fill="none" stroke="#888"/>`,
    `<path d="M${LEFT} ${bottom}${path}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>`,
    label(top + 10, most),
    label(bottom, 0),
    `<text x="${WIDTH - RIGHT}" y="${bottom + 16}" text-anchor="end">${formatSeconds(end)}</text>`,
  ].join('\n');
}
