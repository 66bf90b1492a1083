export { describeOwner, type LockAttempt, type LockOwner, tryLock } from '../base/index.ts';
export { type OpenRunOptions, RunDirectory } from './directory.ts';
export {
  type DomainEvaluation,
  type RunEvent,
  type RunEventBody,
  type RunMetrics,
  type RunMetricsBody,
  STAGES,
  type Stage,
} from './events.ts';
export { type Experiment, listExperiments, type RunData, readRunData } from './experiments.ts';
export type { JsonLines } from './jsonl.ts';
export { MixRequestReader, mixRequestPath, type RequestedWeights, writeMixRequest } from './mix-request.ts';
export {
  isRunAlive,
  isRunName,
  type Recipe,
  RUN_FILES,
  readEvents,
  readLastMetrics,
  readMetrics,
  readRecipe,
  readStatus,
} from './read.ts';
export { listRuns, type RunSummary, RunsReader } from './reader.ts';
export { findRun, removeRun } from './remove.ts';
export type { RunProgress, RunState, RunStatus, StageStatus } from './status.ts';
export type { EventsPage, MetricsPage, RunDetail, RunListEntry } from './wire.ts';
