/**
 * Keeps the cache below its limit. A ledger that all processes append to says how full it is, so that the folder is walked only when the limit
 * is reached; then the least recently used objects go, down to nine tenths, so that the walk is rare. Never what is held. Downloads count
 * with their full size from the moment it is known.
 *
 * The ledger: `=BYTES` what a walk found, `+BYTES` what was begun since. Whoever walks moves the old one away first, so that nothing begun
 * meanwhile is missed; without a `=` in it, it does not count. It may tell too much (a download that failed), never too little.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { fileError, isLocked, tryLock } from '../base/index.ts';
import type { CacheHolds } from './cache-holds.ts';
import type { CacheLayout, CachePlace } from './cache-layout.ts';
import { readRecord, removeObject } from './cache-record.ts';
import { removeDownload } from './object-download.ts';

/** Room is made down to this part of the limit. */
const TARGET = 0.9;
/** Leftovers of interrupted writes are removed when they are so old. */
const LEFTOVER_MS = 3_600_000;

interface Candidate {
  readonly place: CachePlace;
  readonly sizeBytes: number;
  readonly usedAtMs: number;
  /** a download that nobody continues */
  readonly isPartial: boolean;
}

export interface CacheUsage {
  readonly usedBytes: number;
  readonly evicted: number;
}

export class CacheRoom {
  private readonly layout: CacheLayout;
  private readonly holds: CacheHolds;
  private readonly limitBytes: number;

  constructor(layout: CacheLayout, holds: CacheHolds, limitBytes: number) {
    this.layout = layout;
    this.holds = holds;
    this.limitBytes = limitBytes;
  }

  /** Counts a download that begins; to be called when its file has its size. @returns whether the cache is within its limit, as far as the ledger knows */
  charge(sizeBytes: number): boolean {
    try {
      appendFileSync(this.layout.ledger, `+${sizeBytes}\n`);
    } catch (error) {
      throw fileError(error, this.layout.ledger);
    }
    const total = this.ledgerTotal();
    return total !== undefined && total <= this.limitBytes;
  }

  /**
   * Walks the cache and evicts until it is within its limit, and has `extraBytes` more, where that can be.
   * @returns undefined where another process is at it
   */
  makeRoom(epochMs: number, extraBytes: number): CacheUsage | undefined {
    const lock = tryLock(this.layout.roomLock);
    if (!lock.release) return undefined;
    try {
      rmSync(this.layout.ledger, { force: true });
      const { candidates, usedBytes } = this.walk(epochMs);
      const left = this.evict(candidates, usedBytes, extraBytes);
      appendFileSync(this.layout.ledger, `=${left.usedBytes}\n`);
      return left;
    } catch (error) {
      throw fileError(error, this.layout.dir);
    } finally {
      lock.release();
    }
  }

  private ledgerTotal(): number | undefined {
    let total = 0;
    let isWhole = false;
    for (const line of readLines(this.layout.ledger)) {
      const value = Number(line.slice(1));
      if (line.startsWith('=')) isWhole = true;
      if (Number.isFinite(value)) total += value;
    }
    return isWhole ? total : undefined;
  }

  private walk(epochMs: number): { candidates: Candidate[]; usedBytes: number } {
    const candidates: Candidate[] = [];
    let usedBytes = 0;
    for (const name of readdirSync(this.layout.in('records'))) {
      const path = this.layout.in('records', name);
      const id = /^([0-9a-f]{32})\.json$/.exec(name)?.[1];
      const record = id ? readRecord(path) : undefined;
      const recordStat = statSync(path, { throwIfNoEntry: false });
      if (!recordStat) continue;
      const usedAtMs = recordStat.mtimeMs;
      const place = record && this.layout.placeById(id!, record.url, record.key, record.name);
      const file = place && statSync(place.path, { throwIfNoEntry: false });
      if (!place || !file) {
        if (epochMs - usedAtMs > LEFTOVER_MS) rmSync(path, { force: true });
        continue;
      }
      usedBytes += file.size;
      candidates.push({ place, sizeBytes: file.size, usedAtMs, isPartial: false });
    }
    for (const name of readdirSync(this.layout.in('partial'))) {
      const found = statSync(this.layout.in('partial', name), { throwIfNoEntry: false });
      if (!found) continue;
      usedBytes += found.size;
      const place = this.layout.placeById(name, '', '', '');
      if (name.endsWith('.parts')) continue;
      candidates.push({ place, sizeBytes: found.size, usedAtMs: found.mtimeMs, isPartial: true });
    }
    this.sweep(epochMs);
    return { candidates, usedBytes };
  }

  /** Removes what killed processes left that takes no room: names of holders, and files that were on their way to another name. */
  private sweep(epochMs: number): void {
    for (const name of readdirSync(this.layout.in('holders'))) {
      const path = this.layout.in('holders', name);
      if (!isLocked(path) && isOld(path, epochMs)) rmSync(path, { force: true });
    }
    for (const name of readdirSync(this.layout.in('locks'))) {
      const path = this.layout.in('locks', name);
      if (/\.(tmp|stale)-/.test(name) && isOld(path, epochMs)) rmSync(path, { force: true });
    }
    for (const name of readdirSync(this.layout.in('partial'))) {
      const path = this.layout.in('partial', name);
      if (name.endsWith('.parts') && !existsSync(path.slice(0, -'.parts'.length)) && isOld(path, epochMs)) {
        rmSync(path, { force: true });
      }
    }
  }

  private evict(candidates: readonly Candidate[], usedBytes: number, extraBytes: number): CacheUsage {
    const order = [...candidates].sort(
      (a, b) => Number(b.isPartial) - Number(a.isPartial) || a.usedAtMs - b.usedAtMs,
    );
    let evicted = 0;
    const isOver = usedBytes + extraBytes > this.limitBytes;
    const target = isOver
      ? Math.min(this.limitBytes * TARGET, this.limitBytes - extraBytes)
      : this.limitBytes;
    for (const candidate of order) {
      if (usedBytes <= target) break;
      if (!this.remove(candidate)) continue;
      usedBytes -= candidate.sizeBytes;
      evicted++;
    }
    return { usedBytes, evicted };
  }

  /** Removes an object or an abandoned download, unless someone has it. */
  private remove({ place, isPartial }: Candidate): boolean {
    if (isLocked(place.lock)) return false;
    const lock = tryLock(place.lock);
    if (!lock.release) return false;
    try {
      if (isPartial) removeDownload(place.partial);
      else if (this.holds.isHeld(place)) return false;
      else removeObject(place);
      removeEmpty(place.holds);
      return true;
    } finally {
      lock.release();
    }
  }
}

function isOld(path: string, epochMs: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && epochMs - found.mtimeMs > LEFTOVER_MS;
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // In use, or gone.
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
