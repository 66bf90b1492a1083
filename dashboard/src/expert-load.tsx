/**
 * Which experts the router uses: a row per layer, a column per expert, coloured by the share of tokens relative to an even
 * spread (1/E) on a logarithmic scale, and the course of the busiest expert over time.
 */
import { useState } from 'react';
import type { RunMetrics, RunStatus } from '../../src/runs/index.ts';
import { formatPercent } from './format.ts';

const PREFIX = 'expert_load.';
const SPARK_POINTS = 60;

interface LayerLoad {
  readonly layer: number;
  readonly load: readonly number[];
  /** the loads over time, at most SPARK_POINTS of them, oldest first */
  readonly history: readonly (readonly number[])[];
}

interface Cell {
  readonly layer: number;
  readonly expert: number;
}

export function ExpertLoad({
  metrics,
  status,
}: {
  metrics: readonly RunMetrics[];
  status: RunStatus | undefined;
}) {
  const [cell, setCell] = useState<Cell>();
  const layers = layersOf(metrics);
  const numExperts = layers[0]?.load.length ?? 0;
  if (numExperts === 0) {
    const over = status?.state === 'completed' || status?.state === 'serving';
    return (
      <section className="card empty" aria-label="Expert load">
        <h2>Expert load</h2>
        <p>{over ? 'This run logged no expert load.' : 'Comes with training.'}</p>
      </section>
    );
  }
  const experts = Array.from({ length: numExperts }, (_, expert) => expert);
  return (
    <section className="card" aria-label="Expert load">
      <h2>Expert load</h2>
      <div className="heat-frame">
        <table className="heat" data-testid="heat-map" onMouseLeave={() => setCell(undefined)}>
          <thead>
            <tr>
              <th scope="col">layer</th>
              {experts.map((expert) => (
                <th scope="col" key={expert}>
                  {expert}
                </th>
              ))}
              <th scope="col" className="spark-head">
                busiest
              </th>
            </tr>
          </thead>
          <tbody>
            {layers.map((layer) => (
              <HeatRow key={layer.layer} {...layer} choose={setCell} />
            ))}
          </tbody>
        </table>
      </div>
      <p className="readout" data-testid="readout">
        {readout(layers, cell)}
      </p>
      <Legend numExperts={numExperts} />
    </section>
  );
}

function HeatRow({ layer, load, history, choose }: LayerLoad & { choose: (cell: Cell) => void }) {
  return (
    <tr>
      <th scope="row">{layer}</th>
      {load
        .map((share, index) => ({ share, expert: index }))
        .map(({ share, expert }) => {
          const ratio = share * load.length;
          const text = `${formatPercent(share)}, ${ratio.toFixed(2)} × even`;
          const point = (): void => choose({ layer, expert });
          return (
            <td key={expert} style={{ background: heatColor(ratio) }} onPointerEnter={point} title={text}>
              <span className="hidden">{text}</span>
            </td>
          );
        })}
      <td className="spark">
        <Spark values={history.map((each) => Math.max(...each) * each.length)} />
      </td>
    </tr>
  );
}

/** The share of the busiest expert over time, from even (bottom) to 3 times even or the maximum seen. */
function Spark({ values }: { values: readonly number[] }) {
  const top = Math.max(3, ...values);
  const x = (i: number) => (values.length < 2 ? 48 : (i / (values.length - 1)) * 48);
  const y = (value: number) => 14 - ((value - 1) / (top - 1)) * 13;
  const last = values.at(-1) ?? 1;
  return (
    <>
      <svg viewBox="0 0 48 15" width="48" height="15" aria-hidden="true">
        <polyline points={values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ')} />
      </svg>
      <span>{last.toFixed(1)}×</span>
    </>
  );
}

function Legend({ numExperts }: { numExperts: number }) {
  return (
    <div className="heat-legend">
      <span>¼ or less</span>
      <span className="heat-scale">
        {[0.25, 0.35, 0.5, 0.71, 1, 1.41, 2, 2.83, 4].map((ratio) => (
          <i key={ratio} style={{ background: heatColor(ratio) }} />
        ))}
      </span>
      <span>4 × or more</span>
      <span className="soft">of an even share, {formatPercent(1 / numExperts, 2)}</span>
    </div>
  );
}

function readout(layers: readonly LayerLoad[], cell: Cell | undefined): string {
  const layer = layers.find((each) => each.layer === cell?.layer);
  if (!cell || !layer) return 'Point at or tap a cell to read its value.';
  const share = layer.load[cell.expert] ?? 0;
  const first = layer.history[0]?.[cell.expert] ?? share;
  const now = `${formatPercent(share)} of the tokens, ${(share * layer.load.length).toFixed(2)} × an even share`;
  return `Layer ${cell.layer}, expert ${cell.expert}: ${now} (${formatPercent(first)} at first)`;
}

/** Even is the colour of the middle; a quarter and four times are the ends. */
function heatColor(ratio: number): string {
  const position = Math.max(-1, Math.min(1, Math.log2(Math.max(ratio, 1e-6)) / 2));
  const end = position < 0 ? '--heat-low' : '--heat-high';
  const percent = Math.round(Math.abs(position) ** 0.8 * 100);
  return `color-mix(in oklab, var(${end}) ${percent}%, var(--heat-even))`;
}

function layersOf(metrics: readonly RunMetrics[]): LayerLoad[] {
  const measured = metrics.filter((each) => Object.keys(each).some((key) => key.startsWith(PREFIX)));
  const last = measured.at(-1);
  if (!last) return [];
  const stride = Math.max(1, measured.length / SPARK_POINTS);
  const picked = Array.from(
    { length: Math.min(SPARK_POINTS, measured.length) },
    (_, i) => measured[Math.floor(i * stride)]!,
  );
  if (picked.at(-1) !== last) picked.push(last);
  return Object.keys(last)
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => key as `expert_load.${number}`)
    .map((key) => ({
      layer: Number(key.slice(PREFIX.length)),
      load: last[key] ?? [],
      history: picked.map((each) => each[key]).filter((load) => load !== undefined),
    }))
    .sort((a, b) => a.layer - b.layer);
}
