/**
 * The step's memory: blocks allocated once and handed out by a moving cursor, so that an op never calls malloc and no
 * activation is left to the garbage collector. `reset` at the end of a step makes all of it free again.
 */
import type { FloatArray, Kernels } from './kernels.ts';
import type { MemoryKind } from './tracer.ts';

export type FloatType = 'f32' | 'f64';

export interface ArenaOptions {
  /** what its memory is for, as a profile names it; default: activations */
  readonly kind?: MemoryKind;
  readonly floatType?: FloatType;
  readonly blockBytes?: number;
}

const ALIGNMENT = 64;
const DEFAULT_BLOCK_BYTES = 64 << 20;

export class Arena {
  private readonly kernels: Kernels;
  private readonly kind: MemoryKind;
  private readonly floatType: FloatType;
  private readonly blockBytes: number;
  private readonly blocks: ArrayBuffer[] = [];
  private block = 0;
  private offset = 0;
  /** arrays handed out and not freed */
  private pieces = 0;

  constructor(kernels: Kernels, options: ArenaOptions = {}) {
    this.kernels = kernels;
    this.kind = options.kind ?? 'activations';
    this.floatType = options.floatType ?? 'f32';
    this.blockBytes = options.blockBytes ?? DEFAULT_BLOCK_BYTES;
  }

  /** Uninitialised floats, valid until {@link reset}; a profile calls them `name`. */
  floats(length: number, name?: string): FloatArray {
    return this.floatType === 'f64'
      ? new Float64Array(...this.take(length * 8, length, name))
      : new Float32Array(...this.take(length * 4, length, name));
  }

  /** Uninitialised integers, valid until {@link reset}. */
  integers(length: number): Int32Array {
    return new Int32Array(...this.take(length * 4, length));
  }

  /** Uninitialised bytes, valid until {@link reset}. */
  bytes(length: number): Uint8Array {
    return new Uint8Array(...this.take(length, length));
  }

  /** Where the cursor stands; give it to {@link release} to free what was taken since. */
  mark(): readonly [number, number, number] {
    return [this.block, this.offset, this.pieces];
  }

  release(mark: readonly [number, number, number]): void {
    [this.block, this.offset, this.pieces] = mark;
    this.kernels.tracer?.memoryReleased(this, this.pieces);
  }

  /** Frees everything handed out; arrays given before must not be used any more. */
  reset(): void {
    this.release([0, 0, 0]);
  }

  private take(sizeBytes: number, length: number, name?: string): [ArrayBuffer, number, number] {
    const size = Math.ceil(sizeBytes / ALIGNMENT) * ALIGNMENT;
    while (this.block < this.blocks.length && this.offset + size > this.blocks[this.block]!.byteLength) {
      this.block++;
      this.offset = 0;
    }
    if (this.block === this.blocks.length) {
      this.blocks.push(this.kernels.allocate(Math.max(size, this.blockBytes)));
    }
    const at = this.offset;
    this.offset += size;
    this.pieces++;
    this.kernels.tracer?.memoryTaken(this, this.kind, size, name);
    return [this.blocks[this.block]!, at, length];
  }
}
