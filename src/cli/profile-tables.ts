/** A profile for people: tables of an average step. */
import type { MemoryUse, ProfileReport, Work } from '../train/index.ts';
import { formatBytes, formatCount, formatShort, formatTable } from './output.ts';
import type { RecipeProfile } from './profiling.ts';

const LONGEST_TABLE = 12;

const USES: Readonly<Record<MemoryUse, string>> = {
  parameters: 'parameters',
  gradients: 'gradients of parameters',
  optimizer: 'optimizer moments',
  packed: 'packed weights',
  activations: 'activations',
  activationGradients: 'gradients of activations',
  constants: 'constants',
};

export function renderProfile(profile: RecipeProfile, processBytes: number): string {
  const { report } = profile;
  const parts = [
    title(profile),
    limitsLine(profile),
    kernelTable(report),
    phaseTable(report),
    workTable('layer', report.layers.slice(0, LONGEST_TABLE)),
    ...memoryTables(report, processBytes),
  ];
  return parts.join('\n\n');
}

function title({ recipe, engine, precision, threads, data, tokensPerStep, report }: RecipeProfile): string {
  const source = data === 'random' ? 'random tokens' : 'its prepared data';
  return (
    `${recipe}: ${report.steps} training ${report.steps === 1 ? 'step' : 'steps'} of ${formatCount(tokensPerStep)} tokens, random weights, ${source}; ` +
    `${engine}, ${precision}, ${threads} threads. Figures are those of an average step.`
  );
}

function limitsLine({ limits, precision, tokensPerSecond, mfu, report }: RecipeProfile): string {
  const peaks =
    precision === 'f32'
      ? `${formatShort(limits.peakFlops.f32, 'FLOP/s')} f32`
      : `${formatShort(limits.peakFlops.bf16, 'FLOP/s')} bf16, ${formatShort(limits.peakFlops.f32, 'FLOP/s')} f32`;
  return (
    `step ${milliseconds(report.stepMs)} ms, ${formatCount(tokensPerSecond)} tokens/s without the profiler, ` +
    `MFU ${percent(mfu)}\nmeasured here: peak ${peaks}; read bandwidth ${formatShort(limits.readBandwidth, 'B/s')}`
  );
}

function kernelTable(report: ProfileReport): string {
  const { kernels, collectives, outside, profiler, stepMs } = report;
  const rest = (name: string, ms: number, share: number) => [
    name,
    '-',
    milliseconds(ms),
    percent(share),
    '-',
    '-',
    '-',
    '-',
  ];
  return formatTable(workHead('kernel'), [
    ...[...kernels, ...collectives].map(workRow),
    rest('(tape and JavaScript)', outside.ms, outside.share),
    rest('(profiler)', profiler.ms, profiler.share),
    rest('step', stepMs, 1),
  ]);
}

function workTable(name: string, rows: readonly Work[]): string {
  return formatTable(workHead(name), rows.map(workRow));
}

function workHead(name: string): string[] {
  return [name, 'calls', 'ms', 'of step', 'FLOPs', 'of peak', 'bytes', 'of bandwidth'];
}

function workRow({ name, calls, ms, share, flops, peakShare, bytes, bandwidthShare }: Work): string[] {
  return [
    name,
    formatShort(calls),
    milliseconds(ms),
    percent(share),
    flops === 0 ? '-' : formatShort(flops),
    flops === 0 ? '-' : percent(peakShare),
    formatBytes(bytes),
    percent(bandwidthShare),
  ];
}

function phaseTable({ phases, stepMs }: ProfileReport): string {
  return formatTable(
    ['phase', 'ms', 'of step', 'in kernels'],
    phases.map(({ name, ms, callsMs, profilerMs }) => [
      name === 'step' ? '(between phases)' : name,
      milliseconds(ms),
      percent(ms / stepMs),
      percent(callsMs / Math.max(1e-9, ms - profilerMs)),
    ]),
  );
}

function memoryTables({ memory }: ProfileReport, processBytes: number): string[] {
  const share = (sizeBytes: number) => [
    formatBytes(sizeBytes),
    percent(sizeBytes / Math.max(1, memory.totalBytes)),
  ];
  const uses = Object.entries(memory.byUse) as [MemoryUse, number][];
  return [
    `memory at the high-water mark: ${formatBytes(memory.totalBytes)}; the process has used ${formatBytes(processBytes)} at most`,
    formatTable(
      ['memory for', 'size', 'share'],
      uses.map(([use, sizeBytes]) => [USES[use], ...share(sizeBytes)]),
    ),
    formatTable(
      ['memory of layer', 'size', 'share', 'of it activations'],
      memory.byLayer
        .slice(0, LONGEST_TABLE)
        .map(({ name, sizeBytes, activationBytes }) => [
          name,
          ...share(sizeBytes),
          formatBytes(activationBytes),
        ]),
    ),
    formatTable(
      ['largest tensors', 'memory for', 'size'],
      memory.pieces
        .slice(0, LONGEST_TABLE)
        .map(({ name, use, sizeBytes }) => [name, USES[use], formatBytes(sizeBytes)]),
    ),
  ];
}

function milliseconds(ms: number): string {
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(1);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
