/**
 * Whole documents of varying length, packed into sequences: for samples of fine-tuning. A window of documents is drawn from a
 * streaming data set, in its order and mix, and packed (packing.ts); its sequences follow one another. Attention does not
 * cross from one document to another, a document's last token has no target, and rows that nothing fills have none.
 * The state is that before the window was drawn, and how many of its sequences have gone out, so a window is drawn again on
 * resuming. Limit: a mix that changes holds from the next window on; one document is cut to a sequence.
 */
import type { Batch } from './batch.ts';
import { emptyBatch } from './batch.ts';
import { packBestFit } from './packing.ts';
import type { Mix, SamplePlace } from './places.ts';
import type { StreamingDataset } from './streaming-dataset.ts';
import type { StreamingState } from './streaming-state.ts';

interface Window {
  /** before it was drawn */
  readonly start: StreamingState;
  readonly sequences: readonly (readonly Int32Array[])[];
  taken: number;
}

export class PackedDataset {
  private readonly data: StreamingDataset;
  private readonly windowSamples: number;
  private readonly sequenceLength: number;
  private windows: Window[] = [];

  /** @param windowSamples documents that are packed among themselves */
  constructor(
    data: StreamingDataset,
    options: { readonly windowSamples: number; readonly sequenceLength: number },
  ) {
    this.data = data;
    this.windowSamples = options.windowSamples;
    this.sequenceLength = options.sequenceLength;
  }

  setMix(mix: Mix): void {
    this.data.setMix(mix);
  }

  checkMix(mix: Mix): void {
    this.data.checkMix(mix);
  }

  /** The documents that must be read before so many sequences can be given; none where they have been. */
  peek(numSequences: number): SamplePlace[] {
    return this.available >= numSequences ? [] : this.data.peek(this.windowSamples);
  }

  /** Draws the window that {@link peek} told of. @throws what reading samples throws */
  prepare(): void {
    const start = this.data.state();
    const documents = this.data.nextTokens(this.windowSamples);
    this.windows.push({ start, sequences: packDocuments(documents, this.sequenceLength), taken: 0 });
  }

  /** The next sequences. @throws what reading samples throws; the position is then that before the call */
  nextBatch(numSequences: number): Batch & { readonly paddingRows: number } {
    while (this.available < numSequences) this.prepare();
    const { sequenceLength } = this;
    const batch = emptyBatch(numSequences, sequenceLength);
    let filled = 0;
    for (let b = 0; b < numSequences; b++) filled += fillPacked(batch, b, this.take());
    return { ...batch, paddingRows: numSequences * sequenceLength - filled };
  }

  /** Where it stands; {@link restore} of it gives the same batches from here on. */
  state(): StreamingState {
    const [window] = this.windows;
    return window ? { ...window.start, takenSequences: window.taken } : this.data.state();
  }

  /** Continues where `state` was taken, under the mix of then. @throws checkpoint_mismatch, and what reading samples throws */
  restore({ takenSequences = 0, ...start }: StreamingState): void {
    this.data.restore(start);
    this.windows = [];
    if (takenSequences === 0) return;
    this.prepare();
    this.windows[0]!.taken = takenSequences;
    this.dropTaken();
  }

  close(): void {
    this.data.close();
  }

  private get available(): number {
    return this.windows.reduce((sum, { sequences, taken }) => sum + sequences.length - taken, 0);
  }

  private take(): readonly Int32Array[] {
    const window = this.windows[0]!;
    const sequence = window.sequences[window.taken++]!;
    this.dropTaken();
    return sequence;
  }

  private dropTaken(): void {
    while (this.windows[0] && this.windows[0].taken >= this.windows[0].sequences.length) this.windows.shift();
  }
}

/** Documents, cut to a sequence, that stand together; of less than two tokens there is nothing to learn. */
export function packDocuments(
  documents: readonly Int32Array[],
  sequenceLength: number,
): readonly (readonly Int32Array[])[] {
  const fitting = documents
    .filter((tokens) => tokens.length > 1)
    .map((tokens) => tokens.subarray(0, sequenceLength + 1));
  const lengths = fitting.map((tokens) => tokens.length - 1);
  return packBestFit(lengths, sequenceLength).map((each) => each.map((document) => fitting[document]!));
}

/** Writes documents one behind the other into sequence `b`. @returns the rows they fill */
export function fillPacked(
  { tokens, targets, firstKey, sequenceLength }: Batch,
  b: number,
  documents: readonly Int32Array[],
) {
  let row = b * sequenceLength;
  for (const document of documents) {
    const length = document.length - 1;
    tokens.set(document.subarray(0, length), row);
    targets.set(document.subarray(1), row);
    firstKey.fill(row, row, row + length);
    row += length;
  }
  const end = (b + 1) * sequenceLength;
  // Padding is a document of its own.
  if (row < end) firstKey.fill(row, row, end);
  return row - b * sequenceLength;
}
