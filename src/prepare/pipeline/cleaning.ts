/**
 * The stages of the light cleaning that a recipe without `data.pipeline` gets: minified code, short documents and exact
 * duplicates go.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import type { Document } from '../documents.ts';
import type { Position, TextStage } from '../text/stage.ts';

const minifiedSchema = z.strictObject({
  /** characters */
  maxLineLength: z.int().positive().default(2000),
});

/** Drops documents with a line so long that nobody has written it by hand. */
export const minified: TextStage<z.output<typeof minifiedSchema>> = {
  name: 'minified',
  version: 1,
  schema: minifiedSchema,
  create:
    ({ maxLineLength }) =>
    (document) =>
      hasLongLine(document.text, maxLineLength) ? { reject: 'minified' } : { keep: document },
};

/** Whether a line is longer than `limit` characters. */
function hasLongLine(text: string, limit: number): boolean {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    if ((end < 0 ? text.length : end) - start > limit) return true;
    if (end < 0) return false;
    start = end + 1;
  }
  return false;
}

const lengthSchema = z.strictObject({
  /** UTF-8 bytes of trimmed text */
  minBytes: z.int().nonnegative().default(64),
  maxBytes: z.int().positive().optional(),
});

/** Drops documents that are too short, or too long. */
export const length: TextStage<z.output<typeof lengthSchema>> = {
  name: 'length',
  version: 1,
  schema: lengthSchema,
  create: ({ minBytes, maxBytes }) => {
    return (document) => {
      const bytes = Buffer.byteLength(document.text.trim());
      if (bytes < minBytes) return { reject: 'too_short', detail: `${bytes} bytes` };
      if (maxBytes !== undefined && bytes > maxBytes) return { reject: 'too_long', detail: `${bytes} bytes` };
      return { keep: document };
    };
  },
};

const duplicatesSchema = z.strictObject({});
const HASH_BYTES = 16;
/** Of a map's entry and the text of its key, per hash. */
const SEEN_BYTES = 200;

/**
 * Keeps the first of documents with the same text. The survey's part of a shard holds the hashes of its documents; hashes are
 * looked at in as many passes as memory asks for, each of those with another remainder. The summary is the list of the positions to drop.
 */
export const duplicates: TextStage<z.output<typeof duplicatesSchema>> = {
  name: 'duplicates',
  version: 1,
  schema: duplicatesSchema,
  survey: {
    async map(documents) {
      const hashes: Buffer[] = [];
      for await (const { text } of documents as AsyncIterable<Document>) hashes.push(hashOf(text));
      return Buffer.concat(hashes);
    },
    async merge(partPaths, _, { memoryBytes, signal }) {
      const numHashes = partPaths.reduce((sum, path) => sum + statSync(path).size / HASH_BYTES, 0);
      const numPasses = Math.max(1, Math.ceil((numHashes * SEEN_BYTES) / memoryBytes));
      const drops: Position[] = [];
      for (let pass = 0; pass < numPasses; pass++) {
        const seen = new Set<string>();
        for (const [shard, path] of partPaths.entries()) {
          signal?.throwIfAborted();
          for (const [index, hash] of hashesOf(path)) {
            if (hash.readUInt32LE(0) % numPasses !== pass) continue;
            const key = hash.toString('latin1');
            if (seen.has(key)) drops.push({ shard, index });
            else seen.add(key);
          }
        }
      }
      drops.sort((a, b) => a.shard - b.shard || a.index - b.index);
      return new Uint8Array(Uint32Array.from(drops.flatMap(({ shard, index }) => [shard, index])).buffer);
    },
  },
  create(_, summary) {
    // A copy, since the bytes may stand at any offset of their buffer.
    const drops = new Uint32Array(Uint8Array.from(summary!).buffer);
    return (document, at) => (holds(drops, at) ? { reject: 'duplicate' } : { keep: document });
  },
};

/** Whether the position is one of `drops`: pairs of shard and index, in their order. */
function holds(drops: Uint32Array, { shard, index }: Position): boolean {
  let low = 0;
  let high = drops.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = drops[2 * middle]! - shard || drops[2 * middle + 1]! - index;
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest().subarray(0, HASH_BYTES);
}

function* hashesOf(path: string): Generator<[index: number, hash: Buffer]> {
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; at += HASH_BYTES) {
    yield [at / HASH_BYTES, bytes.subarray(at, at + HASH_BYTES)];
  }
}
