/** What the system says about files and folders, as errors a user can act on. */
import { DabarexError, type ErrorCode } from './errors.ts';

interface Explanation {
  readonly code: ErrorCode;
  /** follows the path */
  readonly problem: string;
  readonly remedy: string;
}

const FULL: Explanation = {
  code: 'disk_full',
  problem: 'cannot be written: no space is left for it',
  remedy: 'Free space or raise the quota and run again; what was finished before is whole.',
};
const FORBIDDEN: Explanation = {
  code: 'not_permitted',
  problem: 'may not be used by this user',
  remedy: 'Change its owner or permissions, or choose another folder.',
};
const MISSING: Explanation = {
  code: 'file_missing',
  problem: 'does not exist',
  remedy: 'Check the path.',
};
const UNUSABLE: Explanation = {
  code: 'path_unusable',
  problem: 'cannot be used as it is',
  remedy: 'Check what stands there, and move or mend it.',
};
const TOO_MANY: Explanation = { ...UNUSABLE, remedy: 'Raise the limit of open files (`ulimit -n`).' };

/** By the system's name of the error. */
const EXPLANATIONS: ReadonlyMap<string, Explanation> = new Map([
  ...['ENOSPC', 'EDQUOT', 'EFBIG'].map((name) => [name, FULL] as const),
  ...['EACCES', 'EPERM', 'EROFS'].map((name) => [name, FORBIDDEN] as const),
  ...['ENOENT'].map((name) => [name, MISSING] as const),
  ...['EMFILE', 'ENFILE'].map((name) => [name, TOO_MANY] as const),
  ...['ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'ENAMETOOLONG', 'ELOOP', 'EXDEV', 'EBUSY', 'EIO'].map(
    (name) => [name, UNUSABLE] as const,
  ),
]);

/**
 * An error of the file system as a coded one that names the path: disk_full, not_permitted, file_missing or path_unusable.
 * Any other error is returned as it is.
 * @param path what was being read or written, where the error itself does not tell (a write to an open file does not)
 */
export function fileError(error: unknown, path?: string): unknown {
  if (!(error instanceof Error) || error instanceof DabarexError) return error;
  const { code: name = '', syscall, path: own } = error as NodeJS.ErrnoException;
  const found = EXPLANATIONS.get(name);
  if (!found || syscall === undefined) return error;
  const where = own ?? path;
  return new DabarexError(
    found.code,
    `${where ?? 'A file'} ${found.problem} (${name} in ${syscall}). ${found.remedy}`,
    { path: where, reason: name },
    { cause: error },
  );
}
