/**
 * Runs one bench: `npm run bench -- NAME [--json] [--threads 1,2] [--only TEXT] [--megabytes 100,1000]`. Prints a table, or with --json one object
 * per case and line. NAME is a file NAME.bench.ts beside this one; --only keeps the cases whose name holds TEXT; --megabytes
 * is for those whose work has a size.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { loadNative, nativeUnavailableReason } from '../src/tensor/index.ts';
import { type Bench, type Measurement, measure } from './measure.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    threads: { type: 'string', default: [...new Set([1, cpus().length])].join(',') },
    only: { type: 'string', default: '' },
    megabytes: { type: 'string', default: '100' },
  },
});
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => file.slice(0, -'.bench.ts'.length));
const [name] = positionals;
if (positionals.length !== 1 || !names.includes(name)) {
  console.error(
    `usage: npm run bench -- NAME [--json] [--threads 1,2] [--only TEXT] [--megabytes 100]; NAME is one of ${names.join(', ')}`,
  );
  process.exit(2);
}
const kernels = loadNative();
if (!kernels) {
  console.error(`the native kernels are absent (${nativeUnavailableReason()}); nothing to measure`);
  process.exit(2);
}
const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout?.trim() ?? '';
const { default: bench } = (await import(`./${name}.bench.ts`)) as { default: Bench };
if (!options.json) {
  console.log(`${name}: ${kernels.name}, commit ${commit}, ${cpus()[0].model}\n`);
}
for (const threads of options.threads.split(',').map(Number)) {
  kernels.setThreads(threads);
  for await (const subject of bench(kernels, { megabytes: options.megabytes.split(',').map(Number) })) {
    if (!subject.name.includes(options.only)) continue;
    for (const { value, baseline, baselineValue } of await measure(subject)) {
      const ratio = value / baselineValue;
      const { name: of, unit } = subject;
      report({ bench: name, case: of, value, unit, baseline, baselineValue, ratio, threads, commit });
    }
  }
}

function report(row: Measurement): void {
  if (options.json) {
    console.log(JSON.stringify(row));
    return;
  }
  const of = (x: number) =>
    x >= 1e8 ? `${(x / 1e9).toFixed(1)} G${row.unit}` : `${x.toFixed(0)} ${row.unit}`;
  const percent = `${(100 * row.ratio).toFixed(0)} %`;
  console.log(
    `${row.threads} thr  ${row.case.padEnd(52)} ${of(row.value).padStart(14)}  ${percent.padStart(5)} of ${of(row.baselineValue)} (${row.baseline})`,
  );
}
