/**
 * Clusters of duplicates: items that share a key in some band are candidates; those that pass the verification are joined by union-find
 * (Tarjan 1975). The keys of one band are grouped with a hash table over the items; where that would exceed the memory, in several passes, each
 * over a share of the keys. Which pairs are tried depends on the order of the items alone, never on passes or shards.
 * Limit: of a group of items with one key the first {@link GROUP_LEADERS} are compared with all, the others not among themselves.
 * Lengths and clusters of all items (8 bytes each) are in memory.
 */
import type { Parts } from './parts.ts';

const GROUP_LEADERS = 8;
/** table (4 to 8), keys (8), item (4), next of the group (4) */
const BYTES_PER_ITEM = 24;
const READ_ITEMS = 1 << 18;

export class Clusters {
  private readonly parent: Int32Array;

  constructor(size: number) {
    this.parent = Int32Array.from({ length: size }, (_, index) => index);
  }

  /** The smallest item of the cluster of `item`. */
  find(item: number): number {
    const { parent } = this;
    while (parent[item] !== item) {
      parent[item] = parent[parent[item]!]!;
      item = parent[item]!;
    }
    return item;
  }

  join(a: number, b: number): void {
    const [rootA, rootB] = [this.find(a), this.find(b)];
    if (rootA < rootB) this.parent[rootB] = rootA;
    else this.parent[rootA] = rootB;
  }
}

export interface JoinOptions {
  readonly numBands: number;
  readonly memoryBytes: number;
  readonly isDuplicate: (a: number, b: number) => boolean;
  readonly signal?: AbortSignal;
}

/** The clusters of all items, and how many pairs were verified. */
export function joinItems(parts: Parts, options: JoinOptions): { clusters: Clusters; comparisons: number } {
  const clusters = new Clusters(parts.numItems);
  const numPasses = Math.max(1, Math.ceil((parts.numItems * BYTES_PER_ITEM) / options.memoryBytes));
  let comparisons = 0;
  const compare = (a: number, b: number): void => {
    if (clusters.find(a) === clusters.find(b)) return;
    comparisons++;
    if (options.isDuplicate(a, b)) clusters.join(a, b);
  };
  for (let band = 0; band < options.numBands; band++) {
    for (let pass = 0; pass < numPasses; pass++) {
      options.signal?.throwIfAborted();
      groupBand(readBand(parts, band, pass, numPasses), compare);
    }
  }
  return { clusters, comparisons };
}

interface BandKeys {
  readonly items: Uint32Array;
  readonly low: Uint32Array;
  readonly high: Uint32Array;
  readonly count: number;
}

/** The items whose key in the band falls to this pass. */
function readBand(parts: Parts, band: number, pass: number, numPasses: number): BandKeys {
  const room = Math.min(parts.numItems, Math.ceil((parts.numItems / numPasses) * 1.1) + 1024);
  let [items, low, high] = Array.from({ length: 3 }, () => new Uint32Array(room)) as Uint32Array[];
  let count = 0;
  parts.files.forEach((file, part) => {
    const length = file.length('length');
    for (let start = 0; start < length; start += READ_ITEMS) {
      const end = Math.min(length, start + READ_ITEMS);
      const lows = file.read(`key${band * 2}`, start, end);
      const highs = file.read(`key${band * 2 + 1}`, start, end);
      for (let i = 0; i < lows.length; i++) {
        if (numPasses > 1 && lows[i]! % numPasses !== pass) continue;
        if (count === items!.length) [items, low, high] = [items!, low!, high!].map(doubled);
        items![count] = parts.firstItem[part]! + start + i;
        low![count] = lows[i]!;
        high![count++] = highs[i]!;
      }
    }
  });
  return { items: items!, low: low!, high: high!, count };
}

function doubled(array: Uint32Array): Uint32Array {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** Compares each item with the leaders of its group: the first items with the same key. */
function groupBand({ items, low, high, count }: BandKeys, compare: (a: number, b: number) => void): void {
  const mask = 2 ** Math.ceil(Math.log2(count * 1.5 + 1)) - 1;
  const firstOfSlot = new Int32Array(mask + 1).fill(-1);
  const nextLeader = new Int32Array(count).fill(-1);
  for (let i = 0; i < count; i++) {
    let slot = (high[i]! ^ low[i]!) & mask;
    for (;;) {
      const first = firstOfSlot[slot]!;
      if (first < 0 || (low[first] === low[i] && high[first] === high[i])) break;
      slot = (slot + 1) & mask;
    }
    let leader = firstOfSlot[slot]!;
    if (leader < 0) {
      firstOfSlot[slot] = i;
      continue;
    }
    for (let numLeaders = 1; ; numLeaders++) {
      compare(items[leader]!, items[i]!);
      const next = nextLeader[leader]!;
      if (next < 0) {
        if (numLeaders < GROUP_LEADERS) nextLeader[leader] = i;
        break;
      }
      leader = next;
    }
  }
}
