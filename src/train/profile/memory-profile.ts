/**
 * Who holds how much of the engine's memory, and when it was most. Owners (arenas, packed weights) free in the opposite order
 * of taking, so what is live is a stack per owner. Limits: the scratch memory of native kernels and JavaScript's own heap
 * are not seen; blocks an arena keeps in reserve do not count, only what it handed out.
 */
import type { MemoryKind } from '../../tensor/index.ts';

/** As the engine names it, but activations taken in the backward pass are gradients of activations. */
export type MemoryUse = MemoryKind | 'activationGradients';

export interface Piece {
  /** of the parameter, or of the layer in which it was taken */
  readonly name: string;
  readonly use: MemoryUse;
  readonly sizeBytes: number;
}

/** Bytes in use after a change. */
export interface MemorySample {
  readonly atMs: number;
  readonly usedBytes: Readonly<Record<MemoryUse, number>>;
}

export class MemoryProfile {
  /** changes while {@link recording} */
  readonly samples: MemorySample[] = [];
  /** what comes next is kept as samples and looked at for the high-water mark */
  recording = false;
  private readonly owners = new Map<object, Piece[]>();
  private readonly used: Record<MemoryUse, number> = {
    parameters: 0,
    gradients: 0,
    optimizer: 0,
    packed: 0,
    activations: 0,
    activationGradients: 0,
    constants: 0,
  };
  private total = 0;
  private peakBytes = 0;
  private peak: readonly Piece[] = [];
  /** the mark has been reached and `peak` does not show it yet */
  private atPeak = false;

  take(owner: object, piece: Piece, atMs: number): void {
    const pieces = this.owners.get(owner);
    if (pieces) pieces.push(piece);
    else this.owners.set(owner, [piece]);
    this.change(piece, piece.sizeBytes);
    if (!this.recording) return;
    if (this.total > this.peakBytes) {
      this.peakBytes = this.total;
      this.atPeak = true;
    }
    this.sample(atMs);
  }

  release(owner: object, kept: number, atMs: number): void {
    const pieces = this.owners.get(owner);
    if (!pieces || pieces.length <= kept) return;
    this.keepPeak();
    for (const piece of pieces.splice(kept)) this.change(piece, -piece.sizeBytes);
    if (this.recording) this.sample(atMs);
  }

  /** All that was live at the high-water mark of the time recorded. */
  highWater(): readonly Piece[] {
    this.keepPeak();
    return this.peak;
  }

  private change(piece: Piece, sizeBytes: number): void {
    this.used[piece.use] += sizeBytes;
    this.total += sizeBytes;
  }

  private sample(atMs: number): void {
    this.samples.push({ atMs, usedBytes: { ...this.used } });
  }

  private keepPeak(): void {
    if (!this.atPeak) return;
    this.peak = [...this.owners.values()].flat();
    this.atPeak = false;
  }
}
