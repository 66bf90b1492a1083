/**
 * What a shard contributes to a search for duplicates. An item is a document, or a paragraph of one. For each: where it stands, its
 * length, its band keys (items with an equal key in one band are candidates), and where candidates are verified its sketch.
 */
import { lastAtMost } from '../../../base/index.ts';
import type { Document } from '../../documents.ts';
import { ColumnFile, type Columns, packColumns, Uint32List } from '../columns.ts';
import { paragraphRanges } from '../paragraphs.ts';

export const UNITS = ['document', 'paragraph'] as const;
export type Unit = (typeof UNITS)[number];
export const ID_BYTES = 16;

/** What tells items apart; undefined for an item that takes no part. */
export type Fingerprint = (text: string) => { keys: Uint32Array; sketch?: Uint32Array } | undefined;

/** The part of one shard. @param numBands pairs of words in `keys` */
export async function writePart(
  documents: Iterable<Document> | AsyncIterable<Document>,
  unit: Unit,
  numBands: number,
  fingerprint: Fingerprint,
): Promise<Uint8Array> {
  const [document, paragraph, length, sketchEnd] = Array.from({ length: 4 }, () => new Uint32List());
  const ids = new Uint32List();
  const sketches = new Uint32List();
  const bands = Array.from({ length: numBands * 2 }, () => new Uint32List());
  let numDocuments = 0;
  for await (const each of documents) {
    for (const [number, text] of itemsOf(each.text, unit)) {
      const print = fingerprint(text);
      if (!print) continue;
      document!.push(numDocuments);
      paragraph!.push(number);
      length!.push(text.length);
      print.keys.forEach((key, index) => {
        bands[index]!.push(key);
      });
      if (print.sketch) sketches.append(print.sketch);
      sketchEnd!.push(sketches.length);
    }
    const id = Buffer.alloc(ID_BYTES);
    id.write(each.id, 'hex');
    for (let i = 0; i < ID_BYTES; i += 4) ids.push(id.readUInt32LE(i));
    numDocuments++;
  }
  const columns: Columns = {
    document: document!.view(),
    paragraph: paragraph!.view(),
    length: length!.view(),
    sketchEnd: sketchEnd!.view(),
    ids: ids.view(),
    sketches: sketches.view(),
  };
  bands.forEach((band, index) => {
    columns[`key${index}`] = band.view();
  });
  return packColumns(columns, { numDocuments });
}

function* itemsOf(text: string, unit: Unit): Generator<[number, string]> {
  if (unit === 'document') {
    yield [0, text];
    return;
  }
  const ranges = paragraphRanges(text);
  for (let i = 0; i < ranges.length; i += 2) yield [i / 2, text.slice(ranges[i], ranges[i + 1])];
}

/** The parts of all shards, their items numbered through. */
export class Parts {
  readonly files: ColumnFile[] = [];
  /** the number of the first item of each part, and of all items */
  readonly firstItem: number[] = [0];

  constructor(paths: readonly string[]) {
    try {
      for (const path of paths) {
        const file = new ColumnFile(path);
        this.files.push(file);
        this.firstItem.push(this.numItems + file.length('length'));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get numItems(): number {
    return this.firstItem.at(-1)!;
  }

  /** The lengths of all items. */
  lengths(): Uint32Array {
    const lengths = new Uint32Array(this.numItems);
    this.files.forEach((file, part) => {
      lengths.set(file.read('length'), this.firstItem[part]);
    });
    return lengths;
  }

  /** The part of an item and its number within. */
  locate(item: number): { part: number; local: number } {
    const part = lastAtMost(this.firstItem, item, 0, this.files.length - 1);
    return { part, local: item - this.firstItem[part]! };
  }

  sketch(item: number): Uint32Array {
    const { part, local } = this.locate(item);
    const file = this.files[part]!;
    const ends = file.read('sketchEnd', Math.max(0, local - 1), local + 1);
    return file.read('sketches', local === 0 ? 0 : ends[0], ends.at(-1));
  }

  /** Where an item stands, and the id of its document as 16 bytes. */
  place(item: number): { shard: number; document: number; paragraph: number; id: Uint8Array } {
    const { part, local } = this.locate(item);
    const file = this.files[part]!;
    const document = file.read('document', local, local + 1)[0]!;
    const paragraph = file.read('paragraph', local, local + 1)[0]!;
    const id = new Uint8Array(file.read('ids', document * 4, document * 4 + 4).buffer);
    return { shard: part, document, paragraph, id };
  }

  close(): void {
    for (const file of this.files) file.close();
  }
}
