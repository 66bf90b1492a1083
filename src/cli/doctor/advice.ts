/** What to change: from the findings alone, so that every sentence can be tested. */
import type { MachineFacts } from './machine.ts';
import type { Place } from './places.ts';
import type { Speed } from './speed.ts';

export interface Findings extends MachineFacts {
  readonly engine: {
    /** e.g. `native-avx2` */
    readonly kernels: string;
    /** kernel sets of the build that this processor runs */
    readonly available: readonly string[];
    /** why there are no native kernels; null where there are */
    readonly nativeMissing: string | null;
    readonly threads: number;
  };
  /** part of a block of the engine's memory on huge pages; null where unknown */
  readonly hugePageShare: number | null;
  /** on one thread, and on all */
  readonly speeds: readonly Speed[];
  readonly places: { readonly runs: Place; readonly cache: Place };
}

/** broken: dabarex cannot work; slow: it could be faster; note: good to know. */
const LEVELS = ['broken', 'slow', 'note'] as const;

export interface Advice {
  readonly level: (typeof LEVELS)[number];
  readonly text: string;
}

/** Below this, other work is worth a word. */
const UNDISTURBED = 0.9;
const LITTLE_MEMORY_BYTES = 2e9;

/** The most urgent first; empty where all is well. */
export function adviseOn(findings: Findings): Advice[] {
  const advice = [
    ...places(findings),
    ...kernels(findings),
    ...hugePages(findings),
    ...otherWork(findings),
    ...threads(findings),
    ...memory(findings),
  ];
  return advice.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
}

function places({ places: { runs, cache } }: Findings): Advice[] {
  const broken = (text: string): Advice => ({ level: 'broken', text });
  return [
    ...(runs.writable ? [] : [broken(`${runs.path} cannot be written. Work in a folder of yours.`)]),
    ...(cache.writable
      ? []
      : [broken(`${cache.path} cannot be written. Set DABAREX_HOME to a folder of yours.`)]),
  ];
}

function kernels({ engine, compiler, cpu, platform }: Findings): Advice[] {
  if (engine.nativeMissing !== null) {
    const how =
      compiler === null
        ? 'Install a C++ compiler (apt install g++, or Xcode’s command line tools), then run npm run setup.'
        : 'Build them: npm run setup.';
    const text = `The native kernels are missing (${engine.nativeMissing}); plain TypeScript runs, very slowly. ${how}`;
    return [{ level: 'slow', text }];
  }
  if (!platform.endsWith('x64') || cpu.features.length === 0) return [];
  const lacks = cpu.features.includes('avx512f')
    ? cpu.features.includes('avx512_bf16')
      ? null
      : 'AVX-512 BF16: products run in f32, at half the speed or less'
    : cpu.features.includes('avx2')
      ? 'AVX-512: a processor that has it and BF16 (Zen 4, Sapphire Rapids or newer) multiplies two to four times as fast a core'
      : 'AVX2: kernels run on vectors of four floats';
  return lacks === null ? [] : [{ level: 'note', text: `This processor lacks ${lacks}.` }];
}

function hugePages({ hugePageSetting, hugePageShare, engine }: Findings): Advice[] {
  if (engine.nativeMissing !== null || hugePageShare === null || hugePageShare > 0.9) return [];
  const text =
    hugePageSetting === 'never'
      ? 'Huge pages are off. As root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled'
      : `Only ${Math.round(100 * hugePageShare)} % of the engine’s memory got huge pages: memory is short or fragmented. ` +
        'Close other programs, or as root: echo 1 > /proc/sys/vm/compact_memory';
  return [{ level: 'slow', text }];
}

function threads({ engine, cpu, speeds }: Findings): Advice[] {
  const [one, all] = [speeds[0]!, speeds.at(-1)!];
  const cores = cpu.physicalCores ?? cpu.logicalCores;
  if (engine.threads > cpu.logicalCores) {
    const text = `${engine.threads} threads on ${cpu.logicalCores} cores wait for each other. Use --threads ${cores}.`;
    return [{ level: 'slow', text }];
  }
  if (engine.threads > cores) {
    const text = `${engine.threads} threads share ${cores} cores, two on one. Try --threads ${cores}.`;
    return [{ level: 'note', text }];
  }
  const scaling = all.f32Flops / one.f32Flops / all.threads;
  if (scaling >= 0.75) return [];
  const text =
    `${all.threads} threads reach ${Math.round(100 * scaling)} % of ${all.threads} times one: ` +
    'the system gives this process less than it says (a container’s limit, a shared virtual machine, heat).';
  return [{ level: 'slow', text }];
}

function otherWork({ speeds, cpu }: Findings): Advice[] {
  const undisturbed = Math.min(...speeds.map((speed) => speed.undisturbed));
  if (undisturbed >= UNDISTURBED) return [];
  const text =
    `Other work runs on this machine: a busy loop got ${Math.round(100 * undisturbed)} % of its time on a core; the load of ` +
    `the last minute is ${cpu.load.toFixed(1)}. Stop it, and measure again.`;
  return [{ level: 'slow', text }];
}

function memory({ memory: { availableBytes } }: Findings): Advice[] {
  if (availableBytes >= LITTLE_MEMORY_BYTES) return [];
  const megabytes = Math.round(availableBytes / 1e6);
  const text =
    `Only ${megabytes} MB of memory are free; the quickstart uses 2 GB. ` +
    'Close programs, or train with a smaller train.microbatchSequences.';
  return [{ level: 'note', text }];
}
