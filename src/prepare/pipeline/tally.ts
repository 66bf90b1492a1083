/**
 * What a stage did, counted: documents and bytes in and out, rejects by reason with a few samples of each, and a few of the
 * texts that it changed. Samples are those with the smallest ids, so they do not hang on shards, threads or tasks,
 * and come from all over the corpus.
 */
import type { Document } from '../documents.ts';

const SAMPLES = 4;
/** Characters of a text that a sample shows. */
const SHOWN_CHARACTERS = 600;
const SHOWN_DETAIL = 200;
/** of them, how many stand before the first that a stage changed */
const SHOWN_BEFORE = 100;

export interface Size {
  documents: number;
  /** UTF-8 bytes of text */
  bytes: number;
}

export interface RejectSample extends Omit<Document, 'notes'> {
  readonly detail?: string;
}

/** A part of a text before and after, around the first place where they differ. */
export interface ChangeSample extends Omit<Document, 'notes' | 'text'> {
  readonly before: string;
  readonly after: string;
}

export interface Rejects extends Size {
  samples: RejectSample[];
}

export interface Tally {
  in: Size;
  out: Size;
  /** kept documents whose text was changed */
  changed: number;
  rejects: Record<string, Rejects>;
  changes: ChangeSample[];
  counts: Record<string, number>;
}

export function emptyTally(): Tally {
  const none = () => ({ documents: 0, bytes: 0 });
  return { in: none(), out: none(), changed: 0, rejects: {}, changes: [], counts: {} };
}

export function addSize(size: Size, text: string): void {
  size.documents++;
  size.bytes += Buffer.byteLength(text);
}

/** Counts a rejected document; it was counted as come in already. */
export function addReject(tally: Tally, reason: string, document: Document, detail?: string): void {
  const rejects = rejectsOf(tally, reason);
  addSize(rejects, document.text);
  const { id, source, path, text } = document;
  keepSmallest(rejects.samples, id, () => ({
    id,
    source,
    path,
    text: shown(text, 0),
    ...(detail === undefined ? {} : { detail: shown(detail, 0, SHOWN_DETAIL) }),
  }));
}

function rejectsOf(tally: Tally, reason: string): Rejects {
  tally.rejects[reason] ??= { documents: 0, bytes: 0, samples: [] };
  return tally.rejects[reason];
}

/** Counts a kept document whose text was changed. */
export function addChange(tally: Tally, before: Document, after: Document): void {
  tally.changed++;
  const { id, source, path } = before;
  keepSmallest(tally.changes, id, () => {
    const from = Math.max(0, firstDifference(before.text, after.text) - SHOWN_BEFORE);
    return { id, source, path, before: shown(before.text, from), after: shown(after.text, from) };
  });
}

export function addCounts(tally: Tally, counts: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(counts)) tally.counts[name] = (tally.counts[name] ?? 0) + value;
}

/** The sum of tallies. */
export function sumOf(tallies: Iterable<Tally>): Tally {
  const sum = emptyTally();
  for (const each of tallies) {
    addTo(sum.in, each.in);
    addTo(sum.out, each.out);
    sum.changed += each.changed;
    addCounts(sum, each.counts);
    for (const sample of each.changes) keepSmallest(sum.changes, sample.id, () => sample);
    for (const [reason, rejects] of Object.entries(each.rejects)) {
      const into = rejectsOf(sum, reason);
      addTo(into, rejects);
      for (const sample of rejects.samples) keepSmallest(into.samples, sample.id, () => sample);
    }
  }
  return { ...sum, rejects: byName(sum.rejects), counts: byName(sum.counts) };
}

function addTo(size: Size, more: Size): void {
  size.documents += more.documents;
  size.bytes += more.bytes;
}

function byName<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Puts a sample among those with the smallest ids, in their order; one is made only where it has a place. */
function keepSmallest<T extends { id: string }>(samples: T[], id: string, make: () => T): void {
  if (samples.length === SAMPLES && id >= samples.at(-1)!.id) return;
  // Copies of a text have the same id: one is enough.
  if (samples.some((each) => each.id === id)) return;
  const at = samples.findIndex((each) => id < each.id);
  samples.splice(at < 0 ? samples.length : at, 0, make());
  if (samples.length > SAMPLES) samples.pop();
}

function shown(text: string, from: number, length = SHOWN_CHARACTERS): string {
  // A pair of surrogates that is cut apart becomes the replacement character.
  const part = Buffer.from(text.slice(from, from + length)).toString();
  return `${from > 0 ? '…' : ''}${part}${from + length < text.length ? '…' : ''}`;
}

function firstDifference(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}
