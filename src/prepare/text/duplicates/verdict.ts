/** From clusters to what is dropped, as a summary, and the transform that drops it. */
import type { Document } from '../../documents.ts';
import { packColumns, unpackColumns } from '../columns.ts';
import { withoutParagraphs } from '../paragraphs.ts';
import { type Outcome, type Position, type Transform, withText } from '../stage.ts';
import type { Clusters } from './join.ts';
import { ID_BYTES, type Parts, type Unit } from './parts.ts';

export const KEEP_RULES = ['first', 'longest'] as const;
export type KeepRule = (typeof KEEP_RULES)[number];

/** All items but one of each cluster, in the order of the shards, each with the document of the one that stays. */
export function summarise(parts: Parts, clusters: Clusters, keep: KeepRule): Uint8Array {
  const kept = keep === 'longest' ? longestOf(parts, clusters) : undefined;
  const numDropped = countDropped(parts, clusters);
  const document = new Uint32Array(numDropped);
  const paragraph = new Uint32Array(numDropped);
  const keptId = new Uint8Array(numDropped * ID_BYTES);
  const shardEnd = new Uint32Array(parts.files.length);
  let count = 0;
  for (let item = 0; item < parts.numItems; item++) {
    const root = clusters.find(item);
    const stays = kept?.get(root) ?? root;
    if (stays === item) continue;
    const place = parts.place(item);
    document[count] = place.document;
    paragraph[count] = place.paragraph;
    keptId.set(parts.place(stays).id, count++ * ID_BYTES);
    shardEnd[place.shard] = count;
  }
  for (let shard = 1; shard < shardEnd.length; shard++) {
    shardEnd[shard] = Math.max(shardEnd[shard]!, shardEnd[shard - 1]!);
  }
  return packColumns({ document, paragraph, keptId, shardEnd });
}

function countDropped(parts: Parts, clusters: Clusters): number {
  let count = 0;
  for (let item = 0; item < parts.numItems; item++) if (clusters.find(item) !== item) count++;
  return count;
}

/** The longest item of each cluster by its root, the first of equals; only of clusters where it is not the root. */
function longestOf(parts: Parts, clusters: Clusters): Map<number, number> {
  const lengths = parts.lengths();
  const longest = new Map<number, number>();
  for (let item = 0; item < parts.numItems; item++) {
    const root = clusters.find(item);
    if (lengths[item]! > lengths[longest.get(root) ?? root]!) longest.set(root, item);
  }
  return longest;
}

export function describeDuplicates(summary: Uint8Array): { dropped: number } {
  return { dropped: unpackColumns(summary).columns.document!.length };
}

/** Rejects duplicate documents, or cuts duplicate paragraphs; `detail` is the id of the document that stays. */
export function dropDuplicates(summary: Uint8Array, unit: Unit): Transform {
  const { columns } = unpackColumns(summary);
  const { document, paragraph, keptId, shardEnd } = columns as Record<string, Uint32Array>;
  const droppedOf = ({ shard, index }: Position): [number, number] => {
    const end = shardEnd![shard] ?? 0;
    const first = lowerBound(document!, index, shard === 0 ? 0 : shardEnd![shard - 1]!, end);
    let last = first;
    while (last < end && document![last] === index) last++;
    return [first, last];
  };
  return (each, at) => {
    const [first, last] = droppedOf(at);
    if (first === last) return { keep: each };
    if (unit === 'document') {
      const id = keptId!.subarray(first * ID_BYTES, (first + 1) * ID_BYTES);
      return { reject: 'duplicate', detail: Buffer.from(id).toString('hex') };
    }
    return cutParagraphs(each, new Set(paragraph!.subarray(first, last)));
  };
}

function cutParagraphs(document: Document, dropped: ReadonlySet<number>): Outcome {
  const text = withoutParagraphs(document.text, (number) => dropped.has(number));
  const counts = { paragraphs_cut: dropped.size, characters_cut: document.text.length - text.length };
  if (text.trim() === '') return { reject: 'duplicate_paragraphs', counts };
  return { keep: withText(document, text), counts };
}

/** The first index in `from..to` whose value is not below `wanted`; the values are in order there. */
function lowerBound(values: Uint32Array, wanted: number, from: number, to: number): number {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (values[middle]! < wanted) from = middle + 1;
    else to = middle;
  }
  return from;
}
