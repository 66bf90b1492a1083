import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createPartition } from './partition.ts';
import { NumpyRandom } from './pcg64.ts';
import { samplesPerShard } from './sampling.ts';
import { seedWords } from './seed-sequence.ts';
import { type MosaicShuffle, mosaicShuffle } from './shuffles.ts';

interface Vectors {
  readonly seed_state64: Record<string, string[]>;
  readonly raw64: Record<string, string[]>;
  readonly permutation: Record<string, number[]>;
  readonly choice: { seed: number; n: number; k: number; out: number[] }[];
  readonly shuffle: {
    algo: MosaicShuffle;
    shard_sizes: number[];
    ncn: number;
    seed: number;
    epoch: number;
    block_size: number;
    out: number[];
  }[];
  readonly partition: { args: number[]; out: unknown }[];
  readonly sampling: {
    shards: number[];
    choose: number;
    granularity: number;
    seed: number;
    epoch: number;
    out: number[];
  }[];
}

const path = join(process.env.DABAREX_VECTORS ?? '../shared/vectors', 'numpy-and-shuffles.json');
const isThere = existsSync(path);
const whyNot = isThere ? '' : ` (skipped: no file ${path})`;
const vectors: Vectors = isThere ? JSON.parse(readFileSync(path, 'utf8')) : {};
const hex = (low: number, high: number) => `0x${((BigInt(high) << 32n) | BigInt(low)).toString(16)}`;

describe.skipIf(!isThere)(`as numpy${whyNot}`, () => {
  it('seeds and draws', () => {
    for (const [seed, expected] of Object.entries(vectors.seed_state64)) {
      const words = seedWords(Number(seed), 8);
      expect([0, 2, 4, 6].map((i) => hex(words[i]!, words[i + 1]!))).toEqual(expected);
    }
    for (const [seed, expected] of Object.entries(vectors.raw64)) {
      const random = new NumpyRandom(Number(seed));
      expect(expected.map(() => hex(...random.next64()))).toEqual(expected);
    }
  });

  it('permutes and chooses', () => {
    for (const [seed, expected] of Object.entries(vectors.permutation)) {
      expect([...new NumpyRandom(Number(seed)).permutation(expected.length)]).toEqual(expected);
    }
    for (const { seed, n, k, out } of vectors.choice) {
      expect([...new NumpyRandom(seed).choice(n, k)]).toEqual(out);
    }
  });
});

describe.skipIf(!isThere)(`as MosaicML Streaming${whyNot}`, () => {
  it('shuffles', () => {
    expect(new Set(vectors.shuffle.map((each) => each.algo)).size).toBe(5);
    for (const {
      algo,
      shard_sizes: sizes,
      ncn: canonicalNodes,
      seed,
      epoch,
      block_size: blockSize,
      out,
    } of vectors.shuffle) {
      const ids = mosaicShuffle(algo, { sizes, canonicalNodes, seed, epoch, blockSize });
      expect([...ids], `${algo} ${canonicalNodes} ${epoch}`).toEqual(out);
    }
  });

  it('partitions', () => {
    for (const { args, out } of vectors.partition) {
      const [
        numSamples,
        canonicalNodes,
        nodes,
        ranksPerNode,
        workersPerRank,
        batchSize,
        dropFirst,
        initialNodes,
      ] = args as [number, number, number, number, number, number, number, number | undefined];
      const options = {
        numSamples,
        canonicalNodes,
        nodes,
        ranksPerNode,
        workersPerRank,
        batchSize,
        dropFirst,
        initialNodes,
      };
      const partition = createPartition('relaxed', options);
      const range = (count: number) => Array.from({ length: count }, (_, i) => i);
      const array = range(nodes).map((node) =>
        range(ranksPerNode).map((rank) =>
          range(workersPerRank).map((worker) =>
            range(partition.size / (nodes * ranksPerNode * workersPerRank * batchSize)).map((batch) =>
              range(batchSize).map((k) =>
                partition.inOrder(
                  (((batch * workersPerRank + worker) * nodes + node) * ranksPerNode + rank) * batchSize + k,
                ),
              ),
            ),
          ),
        ),
      );
      expect(array, String(args)).toEqual(out);
    }
  });

  it('samples', () => {
    for (const { shards, choose, granularity, seed, epoch, out } of vectors.sampling) {
      expect(samplesPerShard(shards, choose, granularity, seed + epoch)).toEqual(out);
    }
  });
});
