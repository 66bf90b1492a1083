/**
 * What an epoch's order costs, in time and memory: `npx tsx bench/shuffle-cost.ts [MILLIONS ...]`, a line of JSON each, for every
 * order in a process of its own. MosaicML's orders are made whole; ours is entered in the middle, and a million samples
 * are drawn. Shards hold 8,192 samples. Seconds are of the processor, so that other work does not count; from a billion samples
 * on only our orders are measured, the others would need more memory than most machines have. `peak_bytes` is the process's peak less that of one that makes ten samples.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MOSAIC_SHUFFLES, type MosaicShuffle, mosaicShuffle } from '../src/stream/mosaic/shuffles.ts';
import { SampleOrder } from '../src/stream/order/sample-order.ts';

const SHARD = 8192;
const DRAWS = 1_000_000;
const [, self, ...args] = process.argv as [string, string, ...string[]];

if (args[0] === 'one') console.log(JSON.stringify(measureOne(args[1]!, Number(args[2]))));
else measureAll(args.length > 0 ? args.map(Number) : [10, 100]);

function measureAll(millions: readonly number[]): void {
  const idle = inProcess('py1s', 10).peak_bytes;
  for (const million of millions) {
    for (const name of million < 1000 ? ['block', 'full', ...MOSAIC_SHUFFLES] : ['block', 'full']) {
      const { peak_bytes, ...rest } = inProcess(name, million * 1e6);
      console.log(
        JSON.stringify({ order: name, samples: million * 1e6, ...rest, peak_bytes: peak_bytes - idle }),
      );
    }
  }
}

function inProcess(name: string, samples: number) {
  const command = ['--max-old-space-size=2000', '--import', 'tsx', fileURLToPath(import.meta.url), 'one'];
  const { stdout, stderr } = spawnSync(process.execPath, [...command, name, String(samples)], {
    encoding: 'utf8',
  });
  if (!stdout) throw new Error(stderr || `${self}: ${name} printed nothing`);
  return JSON.parse(stdout) as { start_seconds: number; peak_bytes: number; million_draws_seconds?: number };
}

function measureOne(name: string, samples: number) {
  const sizes = Array.from({ length: Math.ceil(samples / SHARD) }, (_, i) =>
    Math.min(SHARD, samples - i * SHARD),
  );
  const now = () => process.cpuUsage().user / 1e6;
  const started = now();
  const seconds = (since: number) => Number((now() - since).toFixed(3));
  const peak = () => process.resourceUsage().maxRSS * 1024;
  if ((MOSAIC_SHUFFLES as readonly string[]).includes(name)) {
    mosaicShuffle(name as MosaicShuffle, {
      sizes,
      canonicalNodes: 1,
      seed: 9176,
      epoch: 1,
      blockSize: 4_000_000,
    });
    return { start_seconds: seconds(started), peak_bytes: peak() };
  }
  const shuffle = name as 'block' | 'full';
  const key = { seed: 1, stream: 1 };
  const order = new SampleOrder({ shuffle, blockSize: 2 ** 18, lanes: 1, shardSizes: sizes, key });
  const middle = Math.floor(samples / 2);
  order.at(samples + middle);
  const start_seconds = seconds(started);
  const drawing = now();
  for (let i = 0; i < DRAWS; i++) order.at(samples + middle + i);
  return { start_seconds, million_draws_seconds: seconds(drawing), peak_bytes: peak() };
}
