/** The curves of training: loss, throughput, use of the hardware, learning rate. */
import type { RunMetrics, RunStatus } from '../../src/runs/index.ts';
import { activityOf } from './activity.ts';
import { Chart, type Line } from './chart.tsx';
import { formatCount, formatCountTick, formatPercent } from './format.ts';
import type { LiveRun } from './live.ts';
import type { Theme } from './theme.ts';

const NUM_SERIES_COLORS = 8;
const EVAL_PREFIX = 'eval_bits_per_byte.';

type NumberKey = 'tokens_per_second' | 'mfu' | 'learning_rate';

export function Curves({ run, theme }: { run: LiveRun; theme: Theme }) {
  const { metrics, status } = run;
  const heading = <h2>Training</h2>;
  if (metrics.length === 0) {
    return (
      <section className="card empty" aria-label="Training">
        {heading}
        <p>{waitingText(status)}</p>
      </section>
    );
  }
  const steps = metrics.map((each) => each.step);
  const loss = lossLines(metrics);
  const small = smallCharts(metrics);
  return (
    <section className="card" aria-label="Training">
      {heading}
      <Chart
        title={loss.title}
        steps={steps}
        lines={loss.lines}
        format={(v) => v.toFixed(3)}
        formatTick={(v, digits) => v.toFixed(Math.max(1, digits))}
        height={300}
        theme={theme}
      />
      <div className="small-charts">
        {small.map(({ title, label, key, format, formatTick }) => {
          const line: Line = { label, color: '--series-1', values: column(metrics, key) };
          return (
            <Chart
              key={key}
              {...{ title, steps, format, formatTick, theme }}
              lines={[line]}
              height={150}
              fromZero
            />
          );
        })}
      </div>
    </section>
  );
}

/** Why there are no curves yet: `Training has not started: preparing the tokenizer, 45 % done.` */
function waitingText(status: RunStatus | undefined): string {
  if (!status) return 'Training has not started.';
  if (status.state === 'training') return 'Training has begun; the first figures come after a few steps.';
  const running = status.stages.some((each) => each.state === 'running');
  return `Training has not started: ${running ? activityOf(status) : `the run is ${status.state}`}.`;
}

/** Bits per byte where they are measured, for they compare across tokenizers; else nats per token. */
function lossLines(metrics: readonly RunMetrics[]): { title: string; lines: Line[] } {
  const inBits = metrics.some((each) => each.bits_per_byte_train !== undefined);
  const training: Line = {
    label: 'train',
    color: '--ink-faint',
    values: metrics.map((each) => (inBits ? each.bits_per_byte_train : each.loss_train_nats) ?? null),
  };
  const keys = [...new Set(metrics.flatMap((each) => Object.keys(each)))].filter((key) =>
    key.startsWith(EVAL_PREFIX),
  );
  if (inBits && keys.length > 0) {
    const domains = keys.sort().map(
      (key, i): Line => ({
        label: key.slice(EVAL_PREFIX.length),
        color: `--series-${(i % NUM_SERIES_COLORS) + 1}`,
        values: metrics.map((each) => each[key as `eval_bits_per_byte.${string}`] ?? null),
        sparse: true,
      }),
    );
    return { title: 'Loss, bits per byte: training and held-out domains', lines: [training, ...domains] };
  }
  const heldOut = metrics.map((each) => each.loss_eval_nats ?? null);
  const lines = [training];
  if (!inBits && heldOut.some((value) => value !== null)) {
    lines.push({ label: 'held-out', color: '--series-1', values: heldOut, sparse: true });
  }
  return { title: inBits ? 'Training loss, bits per byte' : 'Loss, nats per token', lines };
}

interface SmallChart {
  readonly title: string;
  /** in the legend */
  readonly label: string;
  readonly key: NumberKey;
  readonly format: (value: number) => string;
  readonly formatTick: (value: number, digits: number) => string;
}

const SMALL_CHARTS: readonly SmallChart[] = [
  {
    title: 'Throughput, tokens/s',
    label: 'tokens/s',
    key: 'tokens_per_second',
    format: formatCount,
    formatTick: formatCountTick,
  },
  {
    title: 'Model FLOPs utilisation',
    label: 'MFU',
    key: 'mfu',
    format: (value) => formatPercent(value),
    formatTick: formatPercent,
  },
  {
    title: 'Learning rate',
    label: 'rate',
    key: 'learning_rate',
    format: (value) => formatRate(value, 1),
    formatTick: formatRate,
  },
];

function formatRate(value: number, digits: number): string {
  return value === 0 ? '0' : value.toExponential(digits);
}

function smallCharts(metrics: readonly RunMetrics[]): SmallChart[] {
  return SMALL_CHARTS.filter(({ key }) => metrics.some((each) => each[key] !== undefined));
}

function column(metrics: readonly RunMetrics[], key: NumberKey): (number | null)[] {
  return metrics.map((each) => each[key] ?? null);
}
