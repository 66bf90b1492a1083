/**
 * What a profiler is told while a model runs. The engine carries it (`kernels.tracer`), so that the tape, the arenas and the
 * training loop find it without being handed one; where there is none, nothing is measured and nothing is kept.
 */
import type { Precision } from './kernels.ts';

/** Spans nest: a step has phases, a phase has layers, a layer may have layers. */
export type SpanKind = 'step' | 'phase' | 'layer';

/** What a call has to do at least. */
export interface Cost {
  /**
   * of products alone, 2 for each multiply-add, nothing recomputed: the convention of `flopsPerToken`. 0 for kernels that
   * are bound by memory.
   */
  readonly flops: number;
  /** in which the products are computed */
  readonly precision: Precision;
  /** bytes that must move between memory and processor: every operand once, twice where it is read and written */
  readonly bytes: number;
}

export interface TracedCall extends Cost {
  /** a kernel, or a collective among processes, whose bytes are those it sends */
  readonly kind: 'kernel' | 'collective';
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** What memory is for. */
export type MemoryKind = 'parameters' | 'gradients' | 'optimizer' | 'packed' | 'activations' | 'constants';

export interface Tracer {
  /** milliseconds from any fixed point */
  nowMs(): number;
  /** A span begins inside the one begun last. */
  enter(kind: SpanKind, name: string): void;
  /** The span begun last ends. */
  leave(): void;
  called(call: TracedCall): void;
  /** `owner` hands out memory, `name` being what for where it has one. */
  memoryTaken(owner: object, kind: MemoryKind, sizeBytes: number, name?: string): void;
  /** All but the first `kept` pieces that `owner` has handed out are free again. */
  memoryReleased(owner: object, kept: number): void;
}

/** Runs `work` within a span, where there is someone to tell. */
export function withinSpan<T>(tracer: Tracer | undefined, kind: SpanKind, name: string, work: () => T): T {
  if (!tracer) return work();
  tracer.enter(kind, name);
  try {
    return work();
  } finally {
    tracer.leave();
  }
}
