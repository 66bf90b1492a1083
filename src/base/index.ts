export { type Clock, systemClock } from './clock.ts';
export { parseConfig } from './config.ts';
export { DIGEST_NAMES } from './digest-names.ts';
export { type ErrorData, errorFromData, errorToData } from './error-data.ts';
export { assert, DabarexError, ERROR_CODES, type ErrorCode, type ErrorFields } from './errors.ts';
export { fileError } from './file-errors.ts';
export {
  type FileParts,
  readJsonFile,
  syncFolder,
  writeFileAtomic,
  writeFilePartsAtomic,
  writeFilesAtomic,
} from './files.ts';
export {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  fromFloat16Bits,
  toFloat16Bits,
} from './half.ts';
export {
  describeOwner,
  isAlive,
  isLocked,
  isProcess,
  type LockAttempt,
  type LockOwner,
  thisProcess,
  tryLock,
  waitForLock,
} from './lock.ts';
export { nearestWord } from './nearest.ts';
export { finishParts, type Parts, Turns } from './parts.ts';
export type { OnProgress, Progress } from './progress.ts';
export { philox, Rng, streamOf } from './rng.ts';
export { lastAtMost } from './search.ts';
export { answerJobs, ThreadPool } from './thread-pool.ts';
export { moduleBeside, spawnWorker } from './worker.ts';
