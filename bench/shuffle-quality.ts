/**
 * How well orders mix: `npx tsx bench/shuffle-quality.ts`, a line of JSON for each order and size of block, over four million
 * samples in shards of 8,192. Each figure beside that of a full permutation (`naive`):
 *
 *   serial          correlation of the numbers of samples drawn one after another
 *   same_shard      share of the draws that are of the same shard as the draw before
 *   shards_a_batch  different shards among 256 draws, on average
 *   spread          how far neighbours of a shard come to lie apart, on average, as a share of N/3
 */
import { MOSAIC_SHUFFLES, mosaicShuffle } from '../src/stream/mosaic/shuffles.ts';
import { SampleOrder } from '../src/stream/order/sample-order.ts';

const SHARD = 8192;
const SAMPLES = 512 * SHARD;
const BATCH = 256;
const sizes = new Array<number>(SAMPLES / SHARD).fill(SHARD);

for (const blockSize of [2 ** 15, 2 ** 18]) {
  const key = { seed: 1, stream: 1 };
  for (const shuffle of ['block', 'full'] as const) {
    const order = new SampleOrder({ shuffle, blockSize, lanes: 1, shardSizes: sizes, key });
    report(
      shuffle,
      blockSize,
      Uint32Array.from({ length: SAMPLES }, (_, draw) => order.at(draw)),
    );
  }
  for (const shuffle of MOSAIC_SHUFFLES) {
    report(
      shuffle,
      blockSize,
      mosaicShuffle(shuffle, { sizes, canonicalNodes: 1, seed: 9176, epoch: 1, blockSize }),
    );
  }
}

function report(order: string, blockSize: number, ids: Uint32Array): void {
  const places = new Uint32Array(SAMPLES);
  for (const [place, id] of ids.entries()) places[id] = place;
  let serial = 0;
  let same = 0;
  let apart = 0;
  let shards = 0;
  for (let i = 1; i < SAMPLES; i++) {
    serial += 12 * (ids[i - 1]! / SAMPLES - 0.5) * (ids[i]! / SAMPLES - 0.5);
    if (Math.floor(ids[i]! / SHARD) === Math.floor(ids[i - 1]! / SHARD)) same++;
    if (i % SHARD !== 0) apart += Math.abs(places[i]! - places[i - 1]!);
  }
  for (let i = 0; i < SAMPLES; i += BATCH) {
    shards += new Set(ids.subarray(i, i + BATCH).map((id) => Math.floor(id / SHARD))).size;
  }
  const row = {
    order,
    block_size: blockSize,
    serial: Number((serial / SAMPLES).toFixed(5)),
    same_shard: Number((same / SAMPLES).toFixed(5)),
    shards_a_batch: Number(((shards * BATCH) / SAMPLES).toFixed(1)),
    spread: Number((apart / (SAMPLES - sizes.length) / (SAMPLES / 3)).toFixed(5)),
  };
  console.log(JSON.stringify(row));
}
