/** One writer per run: {@link tryLock} with the error a user of runs gets. */
import { DabarexError, describeOwner, type LockOwner, tryLock } from '../base/index.ts';

/**
 * Takes the lock file of a run at `path` for this process and returns the function that gives it back.
 * @throws run_locked when a living process holds it; path_unusable, not_permitted where the file cannot be read
 */
export function takeLock(path: string, runPath: string, time: string): () => void {
  const attempt = tryLock(path, time);
  if (attempt.release) return attempt.release;
  throw lockedError(runPath, path, attempt.owner);
}

function lockedError(runPath: string, path: string, owner: LockOwner | undefined): DabarexError {
  return new DabarexError(
    'run_locked',
    `${runPath} is being written by ${describeOwner(owner)}. Wait for it or stop it; if it no longer exists, remove ${path}.`,
    { path: runPath, pid: owner?.pid, host: owner?.host, since: owner?.time },
  );
}
