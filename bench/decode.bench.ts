/**
 * Decoding at batch 1: bytes that the products must touch a second, against the read bandwidth of the machine. Whole steps
 * of a generator, its cache half full, and single products with one row; weights in f32, bf16 and int8, beyond the caches.
 */
import {
  completeModelConfig,
  Generator,
  type ModelConfig,
  modelConfigSchema,
  Transformer,
} from '../src/model/index.ts';
import {
  type Kernels,
  type PackedMatrix,
  packedFormatOf,
  profiledKernels,
  type Tracer,
  WEIGHT_KINDS,
  type WeightKind,
} from '../src/tensor/index.ts';
import { type Case, floats, type Limit } from './measure.ts';

const SHAPE = { dModel: 1024, numLayers: 4, numHeads: 16, kvHeads: 4, vocabSize: 8192, maxSeqLen: 1024 };
const FFN = { dense: { hidden: 5632 }, '4 of 16 experts': { hidden: 1408, numExperts: 16, topK: 4 } };
const CACHED = 512;

export default function* decode(kernels: Kernels): Iterable<Case> {
  for (const kind of WEIGHT_KINDS) yield product(kernels, kind);
  for (const [name, ffn] of Object.entries(FFN)) {
    const config = completeModelConfig(modelConfigSchema.parse({ ...SHAPE, ffn }));
    for (const kind of WEIGHT_KINDS) yield step(kernels, config, name, kind);
  }
}

function readLimit(kernels: Kernels): Limit {
  return { name: 'read bandwidth', rate: () => kernels.measureReadBandwidth(20) };
}

/** Several matrices in turn, so that none is still in cache. */
function product(kernels: Kernels, kind: WeightKind): Case {
  const [k, n, count] = [2048, 4096, 8];
  const source = floats(kernels, k * n);
  const matrices: PackedMatrix[] = Array.from({ length: count }, () => {
    const packed = kernels.createPacked(k, n, 1, packedFormatOf(kind));
    kernels.pack(packed, source, false);
    return packed;
  });
  const [x, y] = [floats(kernels, k), floats(kernels, n)];
  const bytesOf = { f32: 4 * k * n, bf16: 2 * k * n, int8: k * n + (4 * k * n) / 256 };
  return {
    name: `product 1 x ${n} x ${k}, ${kind} weights`,
    unit: 'B/s',
    work: count * (bytesOf[kind] + x.byteLength + y.byteLength),
    limit: readLimit(kernels),
    windowMs: 100,
    run: () => {
      for (const matrix of matrices) kernels.gemmPacked(y, x, matrix, 1);
    },
  };
}

function step(kernels: Kernels, config: ModelConfig, name: string, kind: WeightKind): Case {
  const counter = new ByteCounter();
  const model = new Transformer(config, profiledKernels(kernels, counter), {
    precision: 'f32',
    format: packedFormatOf(kind),
    trainable: false,
  });
  const some = floats(kernels, 1 << 16).map((x) => x / 16);
  for (const { tensor } of model.parameters) {
    const data = tensor.data as Float32Array;
    for (let i = 0; i < data.length; i += some.length) data.set(some.subarray(0, data.length - i), i);
  }
  const generator = new Generator(model);
  const cache = generator.createCache(1, config.maxSeqLen);
  const at = (first: number, count: number) => Int32Array.from({ length: count }, (_, r) => first + r);
  const prompt = at(0, CACHED);
  generator.forward(cache, prompt, new Int32Array(CACHED), prompt, Int32Array.of(CACHED - 1));
  const [ids, slot, position] = [Int32Array.of(7), Int32Array.of(0), Int32Array.of(CACHED)];
  const run = () => {
    generator.forward(cache, ids, slot, position, slot);
  };
  counter.bytes = 0;
  run();
  return {
    name: `step of ${name}, ${kind} weights`,
    unit: 'B/s',
    work: counter.bytes,
    limit: readLimit(kernels),
    windowMs: 200,
    run,
  };
}

/** Bytes that all kernels must move. */
class ByteCounter implements Tracer {
  bytes = 0;
  nowMs(): number {
    return 0;
  }
  called({ bytes }: { readonly bytes: number }): void {
    this.bytes += bytes;
  }
  enter(): void {}
  leave(): void {}
  memoryTaken(): void {}
  memoryReleased(): void {}
}
