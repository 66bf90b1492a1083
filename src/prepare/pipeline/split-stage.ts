/**
 * The last stage: documents over a source's limit go, the rest is train or held-out text. What is chosen are the documents with
 * the smallest ids (hashes of the text they were extracted with) up to a number of bytes, so a choice is one id: the largest
 * chosen. It is found in two looks at the sizes of all documents, by the first two bytes of their ids, in constant memory.
 *
 *     measure, each shard:  id, UTF-8 bytes and UTF-16 units of every document, 24 bytes each
 *     plan, once:           per source the largest id within the limit, and the largest held out; or where its tail begins
 *     cut, each shard:      NAME-train.jsonl.br and NAME-heldout.jsonl.br, as they will stand in the documents' files
 */
import { readFileSync } from 'node:fs';
import type { HeldOutConfig } from '../config.ts';
import { type Document, identified } from '../documents.ts';
import { paragraphBlocks, SPLITS, type Split, tailCut } from '../split.ts';
import { readShard, type Shard, writeShard } from './shard-file.ts';
import { addReject, addSize, emptyTally, type Size, type Tally } from './tally.ts';

const ID_BYTES = 16;
const ROW_BYTES = ID_BYTES + 8;
/** of ids, by their first two bytes */
const BUCKETS = 1 << 16;

/** What `cut` must know of a source. Ids are hex; those up to and with the one named are chosen. */
export interface SplitPlan {
  /** absent: no limit */
  readonly limitId?: string;
  /** the lone text of the source is cut into blocks of paragraphs first */
  readonly blocks?: boolean;
  /** `hash`: absent where nothing is held out */
  readonly heldOutId?: string;
  /** `tail`: UTF-16 units of the shard before its tail; absent: held out by hash */
  readonly headUnits?: number;
}

/** The receipt of `cut`. */
export interface CutResult {
  readonly train?: Shard;
  readonly heldout?: Shard;
  readonly sizes: Readonly<Record<Split, Size>>;
  readonly tally: Tally;
}

/** A shard's measures. */
export function measureShard(stagesDir: string, shard: Shard): Uint8Array {
  const rows: Buffer[] = [];
  for (const { id, text } of readShard(stagesDir, shard)) rows.push(rowOf(id, text));
  return Buffer.concat(rows);
}

function rowOf(id: string, text: string): Buffer {
  const row = Buffer.alloc(ROW_BYTES);
  row.write(id, 'hex');
  row.writeUInt32LE(Buffer.byteLength(text), ID_BYTES);
  row.writeUInt32LE(text.length, ID_BYTES + 4);
  return row;
}

export interface PlannedSource {
  readonly limitBytes?: number;
  /** a lone document of it is one long text */
  readonly isText: boolean;
  /** its shards in order, each with the file of its measures */
  readonly shards: readonly { readonly shard: Shard; readonly part: string }[];
}

/** The plan of each of a source's shards. */
export function planSplit(stagesDir: string, source: PlannedSource, heldOut: HeldOutConfig): SplitPlan[] {
  const parts = source.shards.map(({ part }) => part);
  const rows = () => rowsOf(parts);
  const limit = source.limitBytes === undefined ? undefined : smallest(rows, source.limitBytes);
  const limited = () => within(rows(), limit?.id);
  if (heldOut.kind === 'tail') return tailPlans(parts, limit?.id, heldOut.fraction);
  let count = 0;
  for (const _ of limited()) count++;
  const blocks = count === 1 && source.isText;
  const chosen = blocks ? blockRows(stagesDir, source, limit?.id) : limited;
  let bytes = 0;
  for (const row of chosen()) bytes += bytesOf(row);
  const plan = {
    limitId: limit?.id,
    blocks,
    heldOutId: smallest(chosen, bytes * heldOut.fraction, true)?.id,
  };
  return source.shards.map(() => plan);
}

function tailPlans(parts: readonly string[], limitId: string | undefined, fraction: number): SplitPlan[] {
  const units = parts.map((part) => {
    let sum = 0;
    for (const row of within(rowsOf([part]), limitId)) sum += row.readUInt32LE(ID_BYTES + 4);
    return sum;
  });
  let left = Math.floor(units.reduce((sum, each) => sum + each, 0) * (1 - fraction));
  return units.map((each) => {
    const headUnits = Math.min(left, each);
    left -= headUnits;
    return { limitId, headUnits };
  });
}

/** The measures of the blocks of the only document. */
function blockRows(stagesDir: string, { shards }: PlannedSource, limitId?: string): () => Iterable<Buffer> {
  const rows: Buffer[] = [];
  for (const { shard } of shards) {
    for (const document of readShard(stagesDir, shard)) {
      if (limitId !== undefined && document.id > limitId) continue;
      for (const text of paragraphBlocks(document.text))
        rows.push(rowOf(identified({ ...document, text }).id, text));
    }
  }
  return () => rows;
}

function* rowsOf(parts: readonly string[]): Generator<Buffer> {
  for (const part of parts) {
    const bytes = readFileSync(part);
    for (let at = 0; at < bytes.length; at += ROW_BYTES) yield bytes.subarray(at, at + ROW_BYTES);
  }
}

function* within(rows: Iterable<Buffer>, limitId: string | undefined): Generator<Buffer> {
  const limit = limitId === undefined ? undefined : Buffer.from(limitId, 'hex');
  for (const row of rows) if (!limit || compareIds(row, limit) <= 0) yield row;
}

/**
 * The largest id of the fewest documents, smallest ids first, that come to `wantedBytes`; all where they do not.
 * @param leaveOne never all: one more is left out then, and nothing is chosen where there is but one
 */
export function smallest(
  rows: () => Iterable<Buffer>,
  wantedBytes: number,
  leaveOne = false,
): { readonly id: string } | undefined {
  const sums = new Float64Array(BUCKETS);
  const isUsed = new Uint8Array(BUCKETS);
  for (const row of rows()) {
    sums[row.readUInt16BE(0)]! += bytesOf(row);
    isUsed[row.readUInt16BE(0)] = 1;
  }
  const last = isUsed.lastIndexOf(1);
  if (last < 0) return undefined;
  let before = 0;
  let bucket = isUsed.indexOf(1);
  while (bucket < last && before + sums[bucket]! < wantedBytes) {
    before += sums[bucket]!;
    bucket = isUsed.indexOf(1, bucket + 1);
  }
  const inside: Buffer[] = [];
  let below: Buffer | undefined;
  for (const row of rows()) {
    const each = row.readUInt16BE(0);
    if (each === bucket) inside.push(row);
    else if (each < bucket && (!below || compareIds(row, below) > 0)) below = row;
  }
  inside.sort(compareIds);
  return chosenIn(inside, below, before, wantedBytes, leaveOne && bucket === last);
}

function chosenIn(
  inside: readonly Buffer[],
  below: Buffer | undefined,
  before: number,
  wantedBytes: number,
  leaveOne: boolean,
): { readonly id: string } | undefined {
  let bytes = before;
  let at = -1;
  while (at + 1 < inside.length && (at < 0 || bytes < wantedBytes)) bytes += bytesOf(inside[++at]!);
  const isLast = leaveOne && compareIds(inside[at]!, inside.at(-1)!) === 0;
  if (!isLast) return { id: idOf(inside[at]!) };
  while (at >= 0 && compareIds(inside[at]!, inside.at(-1)!) === 0) at--;
  const chosen = at >= 0 ? inside[at] : below;
  return chosen && { id: idOf(chosen) };
}

function bytesOf(row: Buffer): number {
  return row.readUInt32LE(ID_BYTES);
}

function idOf(row: Buffer): string {
  return row.toString('hex', 0, ID_BYTES);
}

function compareIds(a: Buffer, b: Buffer): number {
  return a.compare(b, 0, ID_BYTES, 0, ID_BYTES);
}

export interface CutJob {
  readonly shard: Shard;
  readonly plan: SplitPlan;
  readonly name: string;
}

/** Cuts a shard into its train and its held-out part. */
export function cutShard(stagesDir: string, { shard, plan, name }: CutJob): CutResult {
  const tally = emptyTally();
  const parts: Record<Split, Document[]> = { train: [], heldout: [] };
  const sizes = { train: { documents: 0, bytes: 0 }, heldout: { documents: 0, bytes: 0 } };
  let left = plan.headUnits ?? 0;
  for (const document of readShard(stagesDir, shard)) {
    addSize(tally.in, document.text);
    if (plan.limitId !== undefined && document.id > plan.limitId) {
      addReject(tally, 'over_limit', document);
      continue;
    }
    addSize(tally.out, document.text);
    const { head, pieces } = piecesOf(document, plan, left);
    left -= head;
    for (const [split, piece] of pieces) {
      parts[split].push(piece);
      addSize(sizes[split], piece.text);
    }
  }
  const [train, heldout] = SPLITS.map((split) =>
    parts[split].length === 0
      ? undefined
      : writeShard(stagesDir, `${name}-${split}.jsonl.br`, parts[split], shard.source),
  );
  return { train, heldout, sizes, tally };
}

/** The parts of a document, and how many units of it are head. */
function piecesOf(
  document: Document,
  plan: SplitPlan,
  left: number,
): { head: number; pieces: (readonly [Split, Document])[] } {
  const sideOf = ({ id }: Document): Split =>
    plan.heldOutId !== undefined && id <= plan.heldOutId ? 'heldout' : 'train';
  if (plan.headUnits !== undefined) {
    const { head, tail } = tailCut(document, left);
    const pieces = [head && (['train', head] as const), tail && (['heldout', tail] as const)];
    return {
      head: Math.min(left, document.text.length),
      pieces: pieces.filter((each) => each !== undefined),
    };
  }
  if (!plan.blocks) return { head: 0, pieces: [[sideOf(document), document]] };
  const blocks = paragraphBlocks(document.text).map((text) => identified({ ...document, text }));
  return { head: 0, pieces: blocks.map((block) => [sideOf(block), block] as const) };
}
