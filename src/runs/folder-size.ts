/**
 * The size of a run's folder, asked for again and again. What a run appends to stands in the folder itself and is looked
 * at each time; a folder below it is read again when an entry was added, removed or replaced, by which its time changes.
 * Limit: a file below that grows in place keeps its old size until then; so does a change within the granularity of the
 * file system's times (some milliseconds).
 */
import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';

interface Folder {
  readonly mtimeMs: number;
  readonly inode: number;
  /** of the files in it, links not followed */
  readonly fileBytes: number;
  readonly folders: ReadonlyMap<string, FolderSize>;
}

export class FolderSize {
  private readonly path: string;
  private known: Folder | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Of all files of the tree; 0 where the folder is gone. @param fresh the files of the folder itself may have grown */
  read(fresh = false): number {
    const stat = lstatSync(this.path, { throwIfNoEntry: false });
    if (!stat?.isDirectory()) return 0;
    const { known } = this;
    const same = known?.mtimeMs === stat.mtimeMs && known.inode === stat.ino;
    if (!known || !same || fresh) this.known = this.look(stat);
    const { fileBytes, folders } = this.known!;
    return [...folders.values()].reduce((sum, each) => sum + each.read(), fileBytes);
  }

  private look({ mtimeMs, ino }: Stats): Folder {
    const folders = new Map<string, FolderSize>();
    let fileBytes = 0;
    for (const name of namesIn(this.path)) {
      const path = join(this.path, name);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat?.isDirectory()) folders.set(name, this.known?.folders.get(name) ?? new FolderSize(path));
      // A file that goes away while it is counted counts as nothing.
      else fileBytes += stat?.size ?? 0;
    }
    return { mtimeMs, inode: ino, fileBytes, folders };
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
