/** Progress of work on one file after the other, told as that of all together: what is done counts by the files' own sizes. */
import { statSync } from 'node:fs';
import type { OnProgress } from '../base/index.ts';

export class FileProgress {
  private readonly onProgress: OnProgress | undefined;
  /** before[i] = bytes of the files before file i, and the end */
  private before: number[] = [0];
  /** stages that were told of since {@link begin} or {@link end} */
  private readonly told = new Set<string>();

  constructor(onProgress: OnProgress | undefined) {
    this.onProgress = onProgress;
  }

  begin(files: readonly string[]): void {
    this.before = [0];
    for (const file of files) {
      this.before.push(this.before.at(-1)! + (statSync(file, { throwIfNoEntry: false })?.size ?? 0));
    }
  }

  /** What is to be told of the work on file `i`. */
  of(i: number): OnProgress | undefined {
    const { onProgress, before } = this;
    if (!onProgress) return undefined;
    return ({ stage, done, total, unit }) => {
      this.told.add(stage);
      const share = total > 0 ? Math.min(1, done / total) : 0;
      const size = before[i + 1]! - before[i]!;
      onProgress({ stage, done: Math.round(before[i]! + share * size), total: before.at(-1)!, unit });
    };
  }

  /** Tells that the stages under way are done, also where the last files needed nothing. */
  end(): void {
    const total = this.before.at(-1)!;
    for (const stage of this.told) this.onProgress?.({ stage, done: total, total, unit: 'bytes' });
    this.told.clear();
  }
}
