/**
 * Muon (Jordan et al. 2024): the momentum of a hidden matrix is orthogonalised by five steps of a quintic
 * Newton-Schulz iteration before it is applied. The update is scaled by 0.2 · sqrt(max(rows, columns)) so that its size
 * matches AdamW's and one learning rate serves both (Liu et al. 2025, "Muon is scalable for LLM training").
 * Embedding, head, router and norm scales are left to AdamW. Expert tensors [E, .., ..] are E matrices.
 */
import { finishParts, type Parts } from '../base/index.ts';
import { Arena, type FloatArray, type Kernels, type Parameter, type Precision } from '../tensor/index.ts';
import { AdamW } from './adamw.ts';
import type { Optimizer, OptimizerConfig, OptimizerState, UpdateOptions } from './optimizer.ts';

const [A, B, C] = [3.4445, -4.775, 2.0315] as const;
const ITERATIONS = 5;

interface Momentum {
  readonly parameter: Parameter;
  readonly buffer: FloatArray;
  readonly groups: number;
  readonly rows: number;
  readonly columns: number;
}

export class Muon implements Optimizer {
  readonly state: readonly OptimizerState[];
  private readonly config: OptimizerConfig;
  private readonly precision: Precision;
  private readonly momenta: readonly Momentum[];
  private readonly adamw: AdamW;
  private readonly scratch: Arena;

  constructor(
    parameters: readonly Parameter[],
    config: OptimizerConfig,
    kernels: Kernels,
    precision: Precision,
  ) {
    const memory = { kind: 'optimizer', blockBytes: 16 << 20 } as const;
    const arena = new Arena(kernels, memory);
    const hidden = parameters.filter(isHiddenMatrix);
    const adamRate = config.adamLearningRate ?? config.learningRate;
    this.config = config;
    this.precision = precision;
    this.scratch = new Arena(kernels, memory);
    this.momenta = hidden.map((parameter) => {
      const { size, shape } = parameter.tensor;
      const [rows, columns] = shape.slice(-2) as [number, number];
      const buffer = arena.floats(size, parameter.name);
      return { parameter, buffer, groups: size / (rows * columns), rows, columns };
    });
    const others = parameters.filter((parameter) => !isHiddenMatrix(parameter));
    this.adamw = new AdamW(others, { ...config, learningRate: adamRate }, kernels);
    const momenta = this.momenta.map(({ parameter, buffer }) => ({
      name: `${parameter.name}.momentum`,
      data: buffer,
    }));
    this.state = [...momenta, ...this.adamw.state];
  }

  update(kernels: Kernels, options: UpdateOptions): void {
    finishParts(this.updateInParts(kernels, options));
  }

  *updateInParts(kernels: Kernels, options: UpdateOptions): Parts<void> {
    yield* this.adamw.updateInParts(kernels, options);
    for (const momentum of this.momenta) {
      if (momentum.parameter.tensor.hasGrad) yield* this.updateMatrices(kernels, momentum, options);
    }
  }

  private *updateMatrices(
    kernels: Kernels,
    momentum: Momentum,
    { rate, gradScale }: UpdateOptions,
  ): Parts<void> {
    const { parameter, buffer, groups, rows, columns } = momentum;
    const { tensor } = parameter;
    const { momentum: mu, weightDecay, learningRate } = this.config;
    const size = rows * columns;
    const learned = learningRate * rate;
    kernels.scale(buffer, buffer, mu);
    kernels.scale(buffer, tensor.grad!, gradScale, true);
    if (parameter.decay && weightDecay > 0)
      kernels.scale(tensor.data, tensor.data, 1 - learned * weightDecay);
    for (let group = 0; group < groups; group++) {
      this.scratch.reset();
      const [start, end] = [group * size, (group + 1) * size];
      const direction = this.scratch.floats(size);
      kernels.scale(direction, tensor.grad!.subarray(start, end), gradScale);
      kernels.scale(direction, buffer.subarray(start, end), mu, true);
      const update = this.orthogonalize(kernels, direction, rows, columns);
      const step = -learned * 0.2 * Math.sqrt(Math.max(rows, columns));
      kernels.scale(tensor.data.subarray(start, end), update, step, true);
      yield;
    }
    tensor.version++;
  }

  /** The nearest semi-orthogonal matrix to x [rows, columns], roughly: singular values end in about 0.7 .. 1.2. */
  private orthogonalize(kernels: Kernels, x: FloatArray, rows: number, columns: number): FloatArray {
    const norm = Math.sqrt(kernels.sumOfSquares(x));
    kernels.scale(x, x, 1 / (norm + 1e-7));
    const tall = rows > columns;
    const n = Math.min(rows, columns);
    const gram = this.scratch.floats(n * n);
    const poly = this.scratch.floats(n * n);
    let next = this.scratch.floats(x.length);
    const { precision } = this;
    for (let i = 0; i < ITERATIONS; i++) {
      const form = tall ? { transA: true } : { transB: true };
      kernels.gemm(gram, x, x, { m: n, n, k: Math.max(rows, columns), precision, ...form });
      kernels.scale(poly, gram, B);
      kernels.scale(next, x, A);
      const square = this.scratch.floats(n * n);
      kernels.gemm(square, gram, gram, { m: n, n, k: n, precision });
      kernels.scale(poly, square, C, true);
      if (tall) kernels.gemm(next, x, poly, { m: rows, n, k: n, accumulate: true, precision });
      else kernels.gemm(next, poly, x, { m: n, n: columns, k: n, accumulate: true, precision });
      [x, next] = [next, x];
    }
    return x;
  }
}

function isHiddenMatrix({ name, decay }: Parameter): boolean {
  return decay && name.startsWith('blocks.') && !name.includes('.router');
}
