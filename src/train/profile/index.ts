export { type ChromeTrace, chromeTrace, type TraceEvent } from './chrome-trace.ts';
export type { MemoryUse, Piece } from './memory-profile.ts';
export { Profiler, type ProfilerOptions } from './profiler.ts';
export {
  type LayerMemory,
  type MachineLimits,
  type MemoryHighWater,
  type PhaseTime,
  type ProfileReport,
  reportProfile,
  type Work,
} from './report.ts';
