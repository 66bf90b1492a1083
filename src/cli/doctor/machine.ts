/** What the system says of this machine: processor, memory, huge pages, compiler. Linux tells most; elsewhere less is known. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';

export interface MachineFacts {
  readonly node: string;
  /** e.g. `linux-x64` */
  readonly platform: string;
  readonly cpu: {
    readonly model: string;
    /** those that kernels are or could be built for; empty where the system does not tell */
    readonly features: readonly string[];
    /** what runs at once, two for each core with hyper-threading */
    readonly logicalCores: number;
    /** null where the system does not tell */
    readonly physicalCores: number | null;
    /** processes that wanted a core, on average of the last minute */
    readonly load: number;
  };
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  /** of transparent huge pages: `always`, `madvise` or `never`; null where there are none */
  readonly hugePageSetting: string | null;
  /** first line of `--version` of the C++ compiler that a build would take; null: none found */
  readonly compiler: string | null;
}

const FEATURES = [
  'avx2',
  'fma',
  'avx512f',
  'avx512bw',
  'avx512dq',
  'avx512vl',
  'avx512_vnni',
  'avx512_bf16',
  'amx_tile',
  'amx_bf16',
  'asimd',
  'asimddp',
  'bf16',
  'i8mm',
  'sve',
];

/** @param cxx the user's `$CXX` */
export function inspectMachine(cxx: string | undefined): MachineFacts {
  const cpuinfo = readText('/proc/cpuinfo');
  return {
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: {
      model: cpus()[0]?.model.trim() ?? 'unknown',
      features: featuresOf(cpuinfo),
      logicalCores: Math.max(1, cpus().length),
      physicalCores: physicalCoresOf(cpuinfo),
      load: loadavg()[0]!,
    },
    memory: { totalBytes: totalmem(), availableBytes: process.availableMemory() },
    hugePageSetting: readText('/sys/kernel/mm/transparent_hugepage/enabled').match(/\[(\w+)\]/)?.[1] ?? null,
    compiler: findCompiler(cxx),
  };
}

/** Bytes of this process's memory that lie on transparent huge pages; null where the system does not tell. */
export function hugePageBytes(): number | null {
  const kilobytes = readText('/proc/self/smaps_rollup').match(/^AnonHugePages:\s+(\d+) kB/m)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** The known ones among the flags of the first processor, in the text of /proc/cpuinfo. */
export function featuresOf(cpuinfo: string): string[] {
  const flags = new Set(cpuinfo.match(/^(?:flags|Features)\s*: (.*)$/m)?.[1]?.split(' '));
  return FEATURES.filter((feature) => flags.has(feature));
}

/** Different pairs of socket and core in the text of /proc/cpuinfo; null where it names none. */
export function physicalCoresOf(cpuinfo: string): number | null {
  const cores = cpuinfo.split(/\n\s*\n/).flatMap((processor) => {
    const socket = processor.match(/^physical id\s*: (\d+)$/m)?.[1];
    const core = processor.match(/^core id\s*: (\d+)$/m)?.[1];
    return socket === undefined || core === undefined ? [] : [`${socket}/${core}`];
  });
  return cores.length === 0 ? null : new Set(cores).size;
}

function findCompiler(cxx: string | undefined): string | null {
  const candidates = cxx ? [cxx.split(' ')[0]!] : ['c++', 'g++', 'clang++'];
  for (const name of candidates) {
    const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' });
    if (status === 0) return stdout.split('\n')[0]!;
  }
  return null;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
