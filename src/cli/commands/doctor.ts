/** `dabarex doctor`: what this machine has, what it reaches, and what to change for more speed. */
import { Command } from 'commander';
import { DabarexError } from '../../base/index.ts';
import { createKernels, nativeInstructionSets, nativeUnavailableReason } from '../../tensor/index.ts';
import type { CliContext } from '../context.ts';
import { type Advice, adviseOn, type Findings } from '../doctor/advice.ts';
import { inspectMachine } from '../doctor/machine.ts';
import { inspectPlace, type Place } from '../doctor/places.ts';
import { hugePageShare, measureSpeeds } from '../doctor/speed.ts';
import { examples } from '../help.ts';
import { formatBytes, formatShort, formatTable } from '../output.ts';
import { positive } from '../sampling.ts';

interface DoctorOptions {
  readonly threads?: number;
  readonly json?: boolean;
}

/** @returns the command `doctor` */
export function doctorCommand(context: CliContext): Command {
  return new Command('doctor')
    .description(
      'look at this machine: processor, kernels, memory, folders; measure its limits; say what to change',
    )
    .option('--threads <n>', 'default: all the machine offers', positive)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex doctor', 'a few seconds; exit code 1 when something is broken'],
        ['dabarex doctor --threads 1 --json', 'what one thread reaches, for scripts'],
      ]),
    )
    .action((options: DoctorOptions) => {
      const findings = examine(options.threads ?? context.threads, context);
      const advice = adviseOn(findings);
      if (options.json) context.printJson({ ...findings, advice });
      else context.print(render(findings, advice, context));
      throwIfBroken(advice);
    });
}

function examine(threads: number, context: CliContext): Findings {
  const machine = inspectMachine(context.cxx);
  const kernels = createKernels({ threads });
  return {
    ...machine,
    engine: {
      kernels: kernels.name,
      available: nativeInstructionSets(),
      nativeMissing: nativeUnavailableReason(),
      threads,
    },
    hugePageShare: hugePageShare(kernels),
    speeds: measureSpeeds(kernels, threads),
    places: { runs: inspectPlace(context.runsDir), cache: inspectPlace(context.cacheDir) },
  };
}

/** @throws machine_unfit */
function throwIfBroken(advice: readonly Advice[]): void {
  const broken = advice.filter(({ level }) => level === 'broken').map(({ text }) => text);
  if (broken.length === 0) return;
  throw new DabarexError('machine_unfit', `dabarex cannot work here. ${broken.join(' ')}`, {
    problems: broken.length,
  });
}

function render(findings: Findings, advice: readonly Advice[], context: CliContext): string {
  const { red, yellow, green } = context.colors;
  const marks = { broken: red('broken'), slow: yellow('slow  '), note: 'note  ' };
  const lines = advice.map(({ level, text }) => `${marks[level]}  ${text}`);
  return [
    formatTable(['', ''], factRows(findings)).trimStart(),
    speedTable(findings),
    lines.length > 0 ? lines.join('\n') : green('Nothing to change.'),
  ].join('\n\n');
}

function factRows(findings: Findings): string[][] {
  const { cpu, engine, memory, places } = findings;
  const cores = cpu.physicalCores === null ? '' : ` on ${cpu.physicalCores} cores`;
  const others = engine.available.filter((isa) => `native-${isa}` !== engine.kernels);
  const also = others.length > 0 ? ` (also built and usable: ${others.join(', ')})` : '';
  return [
    ['processor', `${cpu.model}, ${cpu.logicalCores} threads${cores}, load ${cpu.load.toFixed(2)}`],
    ['features', cpu.features.join(' ') || 'unknown'],
    ['kernels', `${engine.kernels}${also}`],
    ['threads used', String(engine.threads)],
    ['huge pages', hugePageText(findings)],
    ['memory', `${formatBytes(memory.totalBytes)}, ${formatBytes(memory.availableBytes)} available`],
    ['runs', placeText(places.runs)],
    ['cache', placeText(places.cache)],
    ['compiler', findings.compiler ?? 'none found'],
    ['Node', `${findings.node}, ${findings.platform}`],
  ];
}

function hugePageText({ hugePageSetting, hugePageShare: share }: Findings): string {
  if (hugePageSetting === null) return 'unknown';
  return `${hugePageSetting}${share === null ? '' : `; ${Math.round(100 * share)} % of the engine’s memory`}`;
}

function placeText({ path, exists, writable, sizeBytes }: Place): string {
  const state = exists ? formatBytes(sizeBytes) : 'not there yet';
  return `${path} (${state}${writable ? '' : ', not writable'})`;
}

function speedTable({ speeds }: Findings): string {
  return formatTable(
    ['threads', 'peak f32', 'peak bf16', 'read bandwidth', 'undisturbed'],
    speeds.map(({ threads, f32Flops, bf16Flops, readBandwidth, undisturbed }) => [
      String(threads),
      formatShort(f32Flops, 'FLOP/s'),
      bf16Flops === null ? '-' : formatShort(bf16Flops, 'FLOP/s'),
      formatShort(readBandwidth, 'B/s'),
      `${Math.round(100 * undisturbed)} %`,
    ]),
  );
}
