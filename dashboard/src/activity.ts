/** What a run is doing now, in words. */
import type { RunStatus, Stage } from '../../src/runs/index.ts';
import { formatDuration, formatPercent } from './format.ts';

const WORDS: Readonly<Record<Stage, string>> = {
  prepare: 'preparing the text',
  tokenizer: 'preparing the tokenizer',
  shards: 'preparing the shards',
  train: 'training',
  evaluate: 'evaluating',
  serve: 'serving',
};

/** `training, 32 % done, 4 min 2 s to go`; the state where no stage is at work. */
export function activityOf(status: RunStatus): string {
  const running = status.stages.find((each) => each.state === 'running');
  if (!running) return status.state === 'created' ? 'starting' : status.state;
  const share = shareDone(status);
  const parts = [
    WORDS[running.stage],
    share === undefined ? '' : `${formatPercent(share, 0)} done`,
    status.etaSeconds === undefined ? '' : `${formatDuration(status.etaSeconds)} to go`,
  ];
  return parts.filter(Boolean).join(', ');
}

/** Of the stage at work, 0..1; undefined where the whole is not known. */
export function shareDone({ progress, step, totalSteps, state }: RunStatus): number | undefined {
  if (state === 'training' && totalSteps) return Math.min(1, step / totalSteps);
  return progress && progress.total > 0 ? Math.min(1, progress.done / progress.total) : undefined;
}
