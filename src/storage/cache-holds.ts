/**
 * Who uses which object, for all processes to see: a link in `holds/ID/` to a file that names the process, so that it appears whole and
 * means nothing once the process is dead. One that only waits for the object has `.waiting` behind its name: the object may be replaced then, not evicted.
 *
 * Use and eviction exclude each other without a lock on the way of use: who uses marks first and then looks for the object's lock; who evicts
 * takes the lock first and then looks for marks. One of the two sees the other.
 */
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { fileError, isLocked, thisProcess } from '../base/index.ts';
import type { CacheLayout, CachePlace } from './cache-layout.ts';

const WAITING = '.waiting';

/** The holds of one ObjectCache. */
export class CacheHolds {
  private readonly layout: CacheLayout;
  private readonly counts = new Map<string, number>();
  private readonly uses = new Map<string, number>();
  private holder: string | undefined;

  constructor(layout: CacheLayout) {
    this.layout = layout;
  }

  /** Marks the object as used, once more. @throws disk_full, not_permitted */
  add({ id, holds }: CachePlace): void {
    const count = this.counts.get(id) ?? 0;
    if (count === 0) this.mark(holds);
    this.counts.set(id, count + 1);
  }

  drop({ id, holds }: CachePlace): void {
    const count = this.counts.get(id) ?? 0;
    if (count > 1) this.counts.set(id, count - 1);
    if (count !== 1) return;
    this.counts.delete(id);
    rmSync(join(holds, this.holder!), { force: true });
    rmSync(join(holds, this.holder! + WAITING), { force: true });
  }

  /** Counts one that is handed out to be used. */
  use({ id }: CachePlace): void {
    this.uses.set(id, (this.uses.get(id) ?? 0) + 1);
  }

  /** Gives back one that was used, and its hold. */
  unuse(place: CachePlace): void {
    const uses = (this.uses.get(place.id) ?? 0) - 1;
    if (uses > 0) this.uses.set(place.id, uses);
    else this.uses.delete(place.id);
    this.drop(place);
  }

  /** Turns this cache's mark into that of one that waits, or back; not where the object is used besides. */
  setWaiting({ id, holds }: CachePlace, isWaiting: boolean): void {
    if (this.uses.has(id) || !this.counts.has(id)) return;
    const using = join(holds, this.holder!);
    const waiting = using + WAITING;
    try {
      if (isWaiting) renameSync(using, waiting);
      else renameSync(waiting, using);
    } catch {
      this.mark(holds, isWaiting ? WAITING : '');
    }
  }

  /** Whether a living process, this one too, has marked the object; marks of dead ones are removed. */
  isHeld(place: CachePlace, kind: 'using' | 'any' = 'any'): boolean {
    return marksIn(place.holds).some((name) => {
      if (kind === 'using' && name.endsWith(WAITING)) return false;
      const mark = join(place.holds, name);
      if (isLocked(mark)) return true;
      rmSync(mark, { force: true });
      return false;
    });
  }

  /** Gives everything back. */
  close(placeOf: (id: string) => Pick<CachePlace, 'holds'>): void {
    if (!this.holder) return;
    for (const id of this.counts.keys()) {
      const { holds } = placeOf(id);
      rmSync(join(holds, this.holder), { force: true });
      rmSync(join(holds, this.holder + WAITING), { force: true });
    }
    this.counts.clear();
    this.uses.clear();
    rmSync(this.layout.in('holders', this.holder), { force: true });
    this.holder = undefined;
  }

  private mark(holds: string, suffix = ''): void {
    this.holder ??= takeName(this.layout);
    const mark = join(holds, this.holder + suffix);
    for (let attempt = 0; ; attempt++) {
      try {
        mkdirSync(holds, { recursive: true });
        linkSync(this.layout.in('holders', this.holder), mark);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // Our name, so left by a process that had our id before.
        if (code === 'EEXIST') return;
        // Evicting an object removes its empty folder, perhaps between the two calls.
        if (code !== 'ENOENT' || attempt > 10) throw fileError(error, mark);
      }
    }
  }
}

/** A name for one cache of this process, and the file that says whose it is. */
function takeName(layout: CacheLayout): string {
  const owner = thisProcess();
  const host = createHash('sha256').update(owner.host).digest('hex').slice(0, 8);
  const temporary = layout.in('holders', `tmp-${owner.pid}-${threadId}`);
  try {
    writeFileSync(temporary, JSON.stringify(owner));
    for (let number = 0; ; number++) {
      const name = `${host}-${owner.pid}-${number}`;
      const path = layout.in('holders', name);
      try {
        linkSync(temporary, path);
        return name;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        if (!isLocked(path)) {
          rmSync(path, { force: true });
          number--;
        }
      }
    }
  } catch (error) {
    throw fileError(error, temporary);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function marksIn(holds: string): string[] {
  try {
    return readdirSync(holds);
  } catch {
    return [];
  }
}
