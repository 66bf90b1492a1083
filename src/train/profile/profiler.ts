/**
 * Keeps what the engine tells of training steps: spans (step, phase, layer), calls (kernels, later collectives) and memory.
 * The time it takes itself is kept too, so that it is not mistaken for the program's.
 */
import type { MemoryKind, SpanKind, TracedCall, Tracer } from '../../tensor/index.ts';
import { MemoryProfile } from './memory-profile.ts';

export interface ProfilerOptions {
  /** milliseconds from any fixed point */
  readonly nowMs: () => number;
  /** steps at the start that are not kept: they allocate, and code is still being compiled */
  readonly warmupSteps: number;
}

export interface Span {
  readonly kind: SpanKind;
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** A call and where it was made. */
export interface PlacedCall extends TracedCall {
  /** e.g. `forward`; `step` between the phases */
  readonly phase: string;
  /** e.g. `blocks.0.attention.qkv`, as the parameter there is named; empty outside the model */
  readonly layer: string;
}

export class Profiler implements Tracer {
  readonly memory = new MemoryProfile();
  readonly spans: Span[] = [];
  readonly calls: PlacedCall[] = [];
  /** by phase, of the profiler itself */
  readonly overheadMs = new Map<string, number>();
  private readonly options: ProfilerOptions;
  private readonly open: { kind: SpanKind; name: string; startMs: number }[] = [];
  private recording = false;
  private phase = 'step';
  private layer = '';
  private stepsBegun = 0;

  constructor(options: ProfilerOptions) {
    this.options = options;
  }

  nowMs(): number {
    return this.options.nowMs();
  }

  enter(kind: SpanKind, name: string): void {
    if (kind === 'step') this.record(++this.stepsBegun > this.options.warmupSteps);
    this.open.push({ kind, name, startMs: this.nowMs() });
    this.locate();
  }

  leave(): void {
    const endMs = this.nowMs();
    const span = this.open.pop()!;
    if (this.recording) this.spans.push({ ...span, endMs });
    if (span.kind === 'step') this.record(false);
    this.locate();
  }

  called(call: TracedCall): void {
    if (!this.recording) return;
    this.calls.push({ ...call, phase: this.phase, layer: this.layer });
    this.charge(call.endMs);
  }

  memoryTaken(owner: object, kind: MemoryKind, sizeBytes: number, name?: string): void {
    const startMs = this.nowMs();
    const use = kind === 'activations' && this.phase === 'backward' ? 'activationGradients' : kind;
    this.memory.take(owner, { name: name ?? (this.layer || this.phase), use, sizeBytes }, startMs);
    this.charge(startMs);
  }

  memoryReleased(owner: object, kept: number): void {
    const startMs = this.nowMs();
    this.memory.release(owner, kept, startMs);
    this.charge(startMs);
  }

  private record(recording: boolean): void {
    this.recording = recording;
    this.memory.recording = recording;
  }

  private charge(startMs: number): void {
    if (!this.recording) return;
    this.overheadMs.set(this.phase, (this.overheadMs.get(this.phase) ?? 0) + this.nowMs() - startMs);
  }

  private locate(): void {
    this.phase = this.open.find(({ kind }) => kind === 'phase')?.name ?? 'step';
    this.layer = this.open
      .filter(({ kind }) => kind === 'layer')
      .map(({ name }) => name)
      .join('.');
  }
}
