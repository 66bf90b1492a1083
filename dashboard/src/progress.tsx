/** How far the run is: its stages, a bar for the one at work, and the figures of the moment. */
import type { RunDetail, RunStatus, Stage } from '../../src/runs/index.ts';
import { formatBytes, formatCount, formatDuration, formatPercent } from './format.ts';
import type { LiveRun } from './live.ts';

const STAGE_LABELS: readonly (readonly [Stage, string])[] = [
  ['prepare', 'Text'],
  ['tokenizer', 'Tokenizer'],
  ['shards', 'Shards'],
  ['train', 'Training'],
  ['evaluate', 'Evaluation'],
];

export function RunProgressPanel({ run, detail }: { run: LiveRun; detail: RunDetail | undefined }) {
  const { status } = run;
  if (!status) return <section className="card empty">Reading the run…</section>;
  const bar = progressOf(status);
  return (
    <section className="card" aria-label="Progress">
      <Stages status={status} />
      {bar && (
        <div className="progress">
          <p data-testid="progress">
            <strong>{bar.label}</strong> {bar.detail}
          </p>
          {bar.fraction !== undefined && <progress value={bar.fraction} max={1} aria-label={bar.label} />}
        </div>
      )}
      {status.error && (
        <p className="error" role="alert">
          {status.error.message} <code>{status.error.code}</code>
        </p>
      )}
      <Figures run={run} detail={detail} />
    </section>
  );
}

/** A stage that a later one overtook had nothing to do: its result was there already. */
function Stages({ status }: { status: RunStatus }) {
  const begun = new Set(status.stages.map((each) => each.stage));
  return (
    <ol className="stages">
      {STAGE_LABELS.map(([stage, label], index) => {
        const found = status.stages.find((each) => each.stage === stage);
        const passed = STAGE_LABELS.slice(index + 1).some(([later]) => begun.has(later));
        const state = found?.state ?? (passed ? 'reused' : 'waiting');
        return (
          <li key={stage} className={state} aria-current={state === 'running' ? 'step' : undefined}>
            <span className="stage-name">{label}</span>
            <span className="stage-note">
              {found?.seconds === undefined ? state : formatDuration(found.seconds)}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

interface Bar {
  readonly label: string;
  readonly detail: string;
  readonly fraction?: number;
}

function progressOf(status: RunStatus): Bar | undefined {
  const { progress, step, totalSteps, state } = status;
  if (state === 'training' && totalSteps) {
    const eta = status.etaSeconds === undefined ? '' : `, ${formatDuration(status.etaSeconds)} to go`;
    const detail = `step ${formatCount(step)} of ${formatCount(totalSteps)}${eta}`;
    return { label: 'Training', detail, fraction: Math.min(1, step / totalSteps) };
  }
  if (!progress || !status.alive) return undefined;
  const inBytes = progress.unit === 'bytes';
  const amount = inBytes ? formatBytes : formatCount;
  const unit = inBytes ? '' : ` ${progress.unit}`;
  const label = progress.stage[0] ? progress.stage[0].toUpperCase() + progress.stage.slice(1) : 'Working';
  if (progress.total <= 0) return { label, detail: `${amount(progress.done)}${unit}` };
  const fraction = Math.min(1, progress.done / progress.total);
  return {
    label,
    detail: `${formatPercent(fraction, 0)}, ${amount(progress.done)} of ${amount(progress.total)}${unit}`,
    fraction,
  };
}

function Figures({ run, detail }: { run: LiveRun; detail: RunDetail | undefined }) {
  const { status, metrics } = run;
  const last = metrics.at(-1);
  const latest = (key: 'mfu' | 'tokens_per_second' | 'bits_per_byte_train' | 'loss_train_nats') =>
    metrics.findLast((each) => each[key] !== undefined)?.[key];
  const rate = latest('tokens_per_second');
  const mfu = latest('mfu');
  const bitsPerByte = latest('bits_per_byte_train');
  const loss = latest('loss_train_nats');
  const model = modelText(status, detail);
  const figures: [string, string | undefined][] = [
    ['Model', model],
    ['Tokens seen', last?.tokens === undefined ? undefined : formatCount(last.tokens)],
    ['Training loss', loss === undefined ? undefined : `${loss.toFixed(3)} nats`],
    ['Bits per byte', bitsPerByte?.toFixed(3)],
    ['Throughput', rate === undefined ? undefined : `${formatCount(rate)} tokens/s`],
    ['MFU', mfu === undefined ? undefined : formatPercent(mfu)],
  ];
  const known = figures.filter(([, value]) => value !== undefined);
  if (known.length === 0) return null;
  return (
    <dl className="figures">
      {known.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function modelText(status: RunStatus | undefined, detail: RunDetail | undefined): string | undefined {
  if (status?.parametersTotal) {
    const active = status.parametersActive ? `, ${formatCount(status.parametersActive)} active` : '';
    return `${formatCount(status.parametersTotal)} parameters${active}`;
  }
  const model = detail?.recipe.model as { numLayers?: number; dModel?: number } | undefined;
  return model?.numLayers ? `${model.numLayers} layers, width ${model.dModel}` : undefined;
}
