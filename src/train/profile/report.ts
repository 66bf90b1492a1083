/** A profile in figures: averages of one step, by kernel, by phase and by layer, beside the limits of the machine. */
import type { Precision } from '../../tensor/index.ts';
import type { MemoryUse, Piece } from './memory-profile.ts';
import type { PlacedCall, Profiler } from './profiler.ts';

/** What the machine reaches at best. */
export interface MachineLimits {
  /** FLOP/s */
  readonly peakFlops: Readonly<Record<Precision, number>>;
  /** bytes per second */
  readonly readBandwidth: number;
}

/** All figures are those of an average step. */
export interface Work {
  readonly name: string;
  readonly calls: number;
  readonly ms: number;
  /** of the step's time */
  readonly share: number;
  /** of products alone */
  readonly flops: number;
  /** of the time, the part the products would take at the peak of their precision */
  readonly peakShare: number;
  /** that must move at least */
  readonly bytes: number;
  /** of the time, the part the bytes would take at the read bandwidth; above 1 from a cache, or with writes beside the reads */
  readonly bandwidthShare: number;
}

export interface PhaseTime {
  readonly name: string;
  readonly ms: number;
  readonly share: number;
  /** part of `ms` in kernels and collectives */
  readonly callsMs: number;
  /** part of `ms` that the profiler itself took */
  readonly profilerMs: number;
}

export interface LayerMemory {
  readonly name: string;
  readonly sizeBytes: number;
  /** part of it: activations and their gradients */
  readonly activationBytes: number;
}

export interface MemoryHighWater {
  readonly totalBytes: number;
  readonly byUse: Readonly<Partial<Record<MemoryUse, number>>>;
  /** by the layer that took it or whose parameter it belongs to, blocks together; largest first */
  readonly byLayer: readonly LayerMemory[];
  /** largest first */
  readonly pieces: readonly Piece[];
}

export interface ProfileReport {
  readonly steps: number;
  readonly stepMs: number;
  readonly kernels: readonly Work[];
  readonly collectives: readonly Work[];
  readonly layers: readonly Work[];
  /** in the order of the step; `step` is the time between them */
  readonly phases: readonly PhaseTime[];
  /** tape, JavaScript, event loop; with `kernels`, `collectives` and `profiler` it adds up to `stepMs` */
  readonly outside: { readonly ms: number; readonly share: number };
  readonly profiler: { readonly ms: number; readonly share: number };
  readonly memory: MemoryHighWater;
}

export function reportProfile(profiler: Profiler, limits: MachineLimits): ProfileReport {
  const steps = profiler.spans.filter(({ kind }) => kind === 'step').length;
  const phases = phaseTimes(profiler, steps);
  const stepMs = sum(phases.map(({ ms }) => ms));
  const workBy = (calls: readonly PlacedCall[], nameOf: (call: PlacedCall) => string) =>
    [...groupBy(calls, nameOf)]
      .map(([name, group]) => work(name, group, steps, stepMs, limits))
      .sort((a, b) => b.ms - a.ms);
  const ofKind = (kind: string) => profiler.calls.filter((call) => call.kind === kind);
  const callsMs = sum(phases.map((phase) => phase.callsMs));
  const profilerMs = sum(phases.map((phase) => phase.profilerMs));
  const outsideMs = stepMs - callsMs - profilerMs;
  return {
    steps,
    stepMs,
    kernels: workBy(ofKind('kernel'), ({ name }) => name),
    collectives: workBy(ofKind('collective'), ({ name }) => name),
    layers: workBy(profiler.calls, ({ layer, phase }) => allBlocks(layer) || phase),
    phases,
    outside: { ms: outsideMs, share: outsideMs / stepMs },
    profiler: { ms: profilerMs, share: profilerMs / stepMs },
    memory: highWater(profiler.memory.highWater()),
  };
}

function work(
  name: string,
  calls: readonly PlacedCall[],
  steps: number,
  stepMs: number,
  { peakFlops, readBandwidth }: MachineLimits,
): Work {
  const ms = sum(calls.map(lengthMs)) / steps;
  const bytes = sum(calls.map((call) => call.bytes)) / steps;
  const atPeakMs = (1000 * sum(calls.map((call) => call.flops / peakFlops[call.precision]))) / steps;
  return {
    name,
    calls: calls.length / steps,
    ms,
    share: ms / stepMs,
    flops: sum(calls.map((call) => call.flops)) / steps,
    peakShare: atPeakMs / ms,
    bytes,
    bandwidthShare: (1000 * bytes) / readBandwidth / ms,
  };
}

function phaseTimes({ spans, calls, overheadMs }: Profiler, steps: number): PhaseTime[] {
  const stepMs = sum(spans.filter(({ kind }) => kind === 'step').map(lengthMs)) / steps;
  const totals = [...groupBy(spans, ({ kind, name }) => (kind === 'phase' ? name : ''))]
    .filter(([name]) => name !== '')
    .map(([name, group]) => ({ name, ms: sum(group.map(lengthMs)) / steps }));
  const between = { name: 'step', ms: stepMs - sum(totals.map(({ ms }) => ms)) };
  const callsByPhase = groupBy(calls, ({ phase }) => phase);
  return [...totals, between].map(({ name, ms }) => ({
    name,
    ms,
    share: ms / stepMs,
    callsMs: sum((callsByPhase.get(name) ?? []).map(lengthMs)) / steps,
    profilerMs: (overheadMs.get(name) ?? 0) / steps,
  }));
}

function highWater(pieces: readonly Piece[]): MemoryHighWater {
  const isActivation = ({ use }: Piece) => use === 'activations' || use === 'activationGradients';
  const totals = (nameOf: (piece: Piece) => string): LayerMemory[] =>
    [...groupBy(pieces, nameOf)]
      .map(([name, group]) => ({
        name,
        sizeBytes: sizeOf(group),
        activationBytes: sizeOf(group.filter(isActivation)),
      }))
      .sort((a, b) => b.sizeBytes - a.sizeBytes);
  return {
    totalBytes: sizeOf(pieces),
    byUse: Object.fromEntries(totals(({ use }) => use).map(({ name, sizeBytes }) => [name, sizeBytes])),
    byLayer: totals(({ name }) => allBlocks(name)),
    pieces: [...pieces].sort((a, b) => b.sizeBytes - a.sizeBytes),
  };
}

function sizeOf(pieces: readonly Piece[]): number {
  return sum(pieces.map(({ sizeBytes }) => sizeBytes));
}

/** One name for the same layer of every block. */
function allBlocks(name: string): string {
  return name.replace(/^blocks\.\d+/, 'blocks.*');
}

function groupBy<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = nameOf(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}

function lengthMs({ startMs, endMs }: { readonly startMs: number; readonly endMs: number }): number {
  return endMs - startMs;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
