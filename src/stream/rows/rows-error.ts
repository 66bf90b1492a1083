/** What is wrong with a file of rows, before anyone has said what that means for what they do. */

/** The message is a reason, to be put into a sentence with the file's name. */
export class RowsError extends Error {
  readonly kind: 'damaged' | 'line_too_long';
  /** of the line, from 1 */
  readonly line: number | undefined;

  constructor(kind: RowsError['kind'], message: string, more: { line?: number; cause?: unknown } = {}) {
    super(message, { cause: more.cause });
    this.kind = kind;
    this.line = more.line;
  }
}

/** The first line of what a library says of a file it cannot read. */
export function damaged(cause: unknown): RowsError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RowsError('damaged', reason.split('\n')[0]!.slice(0, 300), { cause });
}
