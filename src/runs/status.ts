/**
 * Where a run stands, derived from its events alone: the last event that changes the state wins. A run whose writer is gone
 * without a word (killed, power lost) is `interrupted`.
 */
import type { RunEvent, RunMetrics, Stage } from './events.ts';

export type RunState =
  | 'created'
  | 'preparing'
  | 'training'
  | 'evaluating'
  | 'serving'
  | 'completed'
  | 'interrupted'
  | 'failed';

/** The content of progress.json: how far the long step at hand is. */
export interface RunProgress {
  readonly time: string;
  /** what is being done: `download`, `merge`, `train` */
  readonly stage: string;
  readonly done: number;
  /** 0 where the whole is not known */
  readonly total: number;
  readonly unit: string;
}

export interface StageStatus {
  readonly stage: Stage;
  readonly state: 'running' | 'completed' | 'stopped';
  readonly startedAt: string;
  /** of a completed stage: spent on it, over all the calls that worked on it */
  readonly seconds?: number;
  /** of an unfinished stage: spent on it by the calls that ended before it did */
  readonly spentSeconds?: number;
}

export interface RunStatus {
  readonly state: RunState;
  /** a living process holds the run's lock */
  readonly alive: boolean;
  /** the stage begun last */
  readonly stage?: Stage;
  readonly stages: readonly StageStatus[];
  /** of the stage that is running now */
  readonly progress?: RunProgress;
  readonly step: number;
  readonly totalSteps?: number;
  readonly etaSeconds?: number;
  readonly startedAt?: string;
  readonly updatedAt?: string;
  readonly parametersTotal?: number;
  readonly parametersActive?: number;
  readonly error?: { readonly code: string; readonly message: string };
}

const STATE_OF_STAGE: Readonly<Record<Stage, RunState>> = {
  prepare: 'preparing',
  tokenizer: 'preparing',
  shards: 'preparing',
  train: 'training',
  evaluate: 'evaluating',
  serve: 'serving',
};

export interface StatusSources {
  readonly events: readonly RunEvent[];
  readonly lastMetrics?: RunMetrics;
  /** the last that was logged: an evaluation of a step that is no log point has none */
  readonly etaSeconds?: number;
  readonly progress?: RunProgress;
  readonly alive: boolean;
}

/** The status that the sources tell. */
export function deriveStatus(sources: StatusSources): RunStatus {
  const { events, lastMetrics, etaSeconds, progress, alive } = sources;
  const state = stateOf(events, alive);
  const stages = stagesOf(events, alive);
  const running = stages.find((each) => each.state === 'running');
  const training = events.findLast((event) => event.type === 'stage_started' && event.stage === 'train');
  const details = training?.type === 'stage_started' ? training : undefined;
  const failure = events.at(-1);
  return {
    state,
    alive,
    stage: stages.at(-1)?.stage,
    stages,
    progress: running && progress && progress.time >= running.startedAt ? progress : undefined,
    step: lastMetrics?.step ?? 0,
    totalSteps: details?.total_steps,
    etaSeconds: state === 'training' ? (lastMetrics?.eta_seconds ?? etaSeconds) : undefined,
    startedAt: events[0]?.time,
    updatedAt: latest(events.at(-1)?.time, lastMetrics?.time, progress?.time),
    parametersTotal: details?.parameters_total,
    parametersActive: details?.parameters_active,
    error: failure?.type === 'run_failed' ? { code: failure.code, message: failure.message } : undefined,
  };
}

function stateOf(events: readonly RunEvent[], alive: boolean): RunState {
  let state: RunState = 'created';
  let completed = false;
  for (const event of events) {
    if (event.type === 'run_completed') completed = true;
    state = stateAfter(event, state);
  }
  const active = state === 'created' ? events.length > 0 : isActive(state);
  if (!active || alive) return state;
  return completed && state === 'serving' ? 'completed' : 'interrupted';
}

function stateAfter(event: RunEvent, state: RunState): RunState {
  switch (event.type) {
    case 'stage_started':
      return STATE_OF_STAGE[event.stage] ?? state;
    case 'run_completed':
      return 'completed';
    case 'run_interrupted':
      return 'interrupted';
    case 'run_failed':
      return 'failed';
    case 'run_started':
    case 'run_resumed':
      return 'created';
    default:
      return state;
  }
}

function isActive(state: RunState): boolean {
  return state === 'preparing' || state === 'training' || state === 'evaluating' || state === 'serving';
}

/** The stages in the order they were last begun, each once. */
function stagesOf(events: readonly RunEvent[], alive: boolean): StageStatus[] {
  const stages = new Map<Stage, StageStatus>();
  let before: string | undefined;
  for (const event of events) {
    if (event.type === 'stage_started') beginStage(stages, event.stage, event.time);
    else if (event.type === 'stage_completed') {
      const { stage, time, seconds } = event;
      const begun = stages.get(stage);
      const total = seconds + (begun?.spentSeconds ?? 0);
      stages.set(stage, { stage, state: 'completed', startedAt: begun?.startedAt ?? time, seconds: total });
    } else if (event.type === 'run_interrupted' || event.type === 'run_failed') {
      stopRunning(stages, event.time);
    } else if (event.type === 'run_resumed' || event.type === 'run_started') {
      // Killed without a word: its last one is the best that is known of its end.
      stopRunning(stages, before ?? event.time);
    }
    before = event.time;
  }
  if (!alive && before) stopRunning(stages, before);
  return [...stages.values()];
}

/** What an earlier call spent on a stage it did not finish counts on; a finished stage that is begun again is another. */
function beginStage(stages: Map<Stage, StageStatus>, stage: Stage, startedAt: string): void {
  const before = stages.get(stage);
  const earlier = before?.spentSeconds === undefined ? {} : { spentSeconds: before.spentSeconds };
  stages.delete(stage);
  stages.set(stage, { stage, state: 'running', startedAt, ...earlier });
}

function stopRunning(stages: Map<Stage, StageStatus>, time: string): void {
  for (const [stage, each] of stages) {
    if (each.state !== 'running') continue;
    const spent = Math.max(0, Date.parse(time) - Date.parse(each.startedAt)) / 1000;
    stages.set(stage, { ...each, state: 'stopped', spentSeconds: (each.spentSeconds ?? 0) + spent });
  }
}

function latest(...times: (string | undefined)[]): string | undefined {
  return times
    .filter((time) => time !== undefined)
    .sort()
    .at(-1);
}
