/**
 * Where the cache keeps what. Objects stand under their own names, so that a folder of a store is a folder here; all else is by an id.
 *
 *   objects/STORE/KEY     whole and verified, always: files get here by a rename
 *   records/ID.json       what an object is, and (its time) when it was last asked for
 *   partial/ID[.parts]    a download under way, or left by a process that died
 *   locks/ID              who downloads or evicts it; locks/room: who makes room
 *   holds/ID/HOLDER       who uses it; a link to holders/HOLDER, which names the process
 *   ledger                how full the cache is
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../base/index.ts';
import type { ObjectStore } from './object-store.ts';

const FOLDERS = ['objects', 'records', 'partial', 'locks', 'holds', 'holders'] as const;

/** One object's places. */
export interface CachePlace {
  readonly id: string;
  readonly url: string;
  readonly key: string;
  /** relative to the cache's folder, as a record has it */
  readonly name: string;
  readonly path: string;
  readonly record: string;
  readonly partial: string;
  readonly lock: string;
  readonly holds: string;
}

export class CacheLayout {
  readonly dir: string;

  /** Makes the folders. @throws not_permitted, disk_full, path_unusable */
  constructor(dir: string) {
    this.dir = dir;
    try {
      for (const folder of FOLDERS) mkdirSync(join(dir, folder), { recursive: true });
    } catch (error) {
      throw fileError(error, dir);
    }
  }

  placeOf(store: ObjectStore, key: string): CachePlace {
    const slug = store.url
      .replace(/[^a-z0-9]+/gi, '-')
      .slice(-40)
      .replace(/^-+/, '');
    const name = join('objects', `${slug}-${digest(store.url, 12)}`, key);
    return this.placeById(digest(`${store.url}\0${key}`, 32), store.url, key, name);
  }

  /** The places of an object that only its record tells of. */
  placeById(id: string, url: string, key: string, name: string): CachePlace {
    return {
      id,
      url,
      key,
      name,
      path: join(this.dir, name),
      record: join(this.dir, 'records', `${id}.json`),
      partial: join(this.dir, 'partial', id),
      lock: join(this.dir, 'locks', id),
      holds: join(this.dir, 'holds', id),
    };
  }

  in(folder: (typeof FOLDERS)[number], name = ''): string {
    return join(this.dir, folder, name);
  }

  get roomLock(): string {
    return join(this.dir, 'locks', 'room');
  }

  get ledger(): string {
    return join(this.dir, 'ledger');
  }
}

function digest(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}
