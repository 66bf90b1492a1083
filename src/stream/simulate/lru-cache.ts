/** The cache of a simulated node: shards with the step of their last use; the one used longest ago goes first. */

interface Entry {
  lastStep: number;
  readonly sizeBytes: number;
}

export class SimulatedCache {
  private readonly entries = new Map<number, Entry>();
  /** a heap by step; entries whose step has changed since stay in it until they come up */
  private readonly heap: { readonly step: number; readonly shard: number }[] = [];
  usedBytes = 0;

  /** Notes a use that ends with `lastStep`. @returns whether the shard is here */
  use(shard: number, lastStep: number): boolean {
    const entry = this.entries.get(shard);
    if (!entry) return false;
    if (lastStep > entry.lastStep) {
      entry.lastStep = lastStep;
      this.push(lastStep, shard);
    }
    return true;
  }

  add(shard: number, sizeBytes: number, lastStep: number): void {
    this.entries.set(shard, { lastStep, sizeBytes });
    this.usedBytes += sizeBytes;
    this.push(lastStep, shard);
  }

  /** Drops the shard whose last use is longest ago, if it lies before `step`. @returns that use; undefined where there is none */
  evictBefore(step: number): number | undefined {
    for (;;) {
      const top = this.heap[0];
      if (!top) return undefined;
      const entry = this.entries.get(top.shard);
      if (entry?.lastStep === top.step) {
        if (top.step >= step) return undefined;
        this.pop();
        this.entries.delete(top.shard);
        this.usedBytes -= entry.sizeBytes;
        return top.step;
      }
      this.pop();
    }
  }

  private push(step: number, shard: number): void {
    const { heap } = this;
    let i = heap.push({ step, shard }) - 1;
    for (let parent = (i - 1) >> 1; i > 0 && heap[parent]!.step > heap[i]!.step; parent = (i - 1) >> 1) {
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      let least = i;
      if (left < heap.length && heap[left]!.step < heap[least]!.step) least = left;
      if (left + 1 < heap.length && heap[left + 1]!.step < heap[least]!.step) least = left + 1;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}
