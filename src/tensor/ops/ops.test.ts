import { describe, expect, it } from 'vitest';
import { createReferenceKernels } from '../reference/index.ts';
import { Tape } from '../tape.ts';
import { attention } from './attention.ts';
import { projectionCrossEntropy } from './cross-entropy.ts';
import { add, addBias, matmul, mean, mul, residualAdd, scaled, softmax, unary } from './elementwise.ts';
import { embedding } from './embedding.ts';
import { glu } from './glu.ts';
import { checkGradients } from './gradcheck.suite.ts';
import { groupedLinear, linear, PackedWeight } from './linear.ts';
import { columnNorms, layerNorm, rmsNorm } from './norm.ts';
import { ropeTable } from './rope.ts';
import { combine, dispatch, planDispatch, route } from './routing.ts';

const f64 = (n: number) => new Float64Array(n);

describe('gradients against finite differences in float64', () => {
  it('linear, both layouts', () => {
    checkGradients(
      [
        [5, 4],
        [3, 4],
      ],
      (tape, [x, w]) => linear(tape, x!, new PackedWeight(w!, 'f32')),
    );
    checkGradients(
      [
        [5, 4],
        [4, 3],
      ],
      (tape, [x, w]) => linear(tape, x!, new PackedWeight(w!, 'f32', 'in-out')),
    );
  });

  it('grouped linear with an empty group, both layouts', () => {
    const offsets = Int32Array.of(0, 2, 2, 5);
    checkGradients(
      [
        [5, 4],
        [3, 2, 4],
      ],
      (tape, [x, w]) => groupedLinear(tape, x!, new PackedWeight(w!, 'f32'), offsets),
    );
    checkGradients(
      [
        [5, 4],
        [3, 4, 2],
      ],
      (tape, [x, w]) => groupedLinear(tape, x!, new PackedWeight(w!, 'f32', 'in-out'), offsets),
    );
  });

  it('layer norm and RMS norm', () => {
    checkGradients([[3, 6], [6]], (tape, [x, w]) => layerNorm(tape, x!, w!, 1e-5));
    checkGradients([[3, 6], [6]], (tape, [x, w]) => rmsNorm(tape, x!, w!, 1e-5));
  });

  it('norms of groups of columns', () => {
    checkGradients([[3, 14], [3], [4]], (tape, [x, head, all]) =>
      columnNorms(
        tape,
        x!,
        [
          { first: 0, groups: 2, weight: head! },
          { first: 7, groups: 1, weight: all! },
        ],
        1e-5,
      ),
    );
  });

  it('bias and scale', () => {
    checkGradients([[3, 4], [4]], (tape, [x, b]) => addBias(tape, scaled(tape, x!, -1.5), b!));
  });

  it('attention: grouped heads, documents, rotation, clipping', () => {
    const positions = Int32Array.of(0, 1, 2, 3, 4, 0, 1);
    const firstKey = Int32Array.of(0, 0, 0, 3, 3, 5, 5);
    const rope = ropeTable(8, 8, 100, f64);
    const options = {
      heads: 4,
      kvHeads: 2,
      headDim: 8,
      rope,
      positions,
      firstKey,
      precision: 'f32' as const,
    };
    checkGradients([[7, 64]], (tape, [qkv]) => attention(tape, qkv!, { ...options, clip: 0 }));
    checkGradients([[7, 64]], (tape, [qkv]) => attention(tape, qkv!, { ...options, clip: 1.1 }));
    for (const scores of [{ slopes: Float32Array.of(0.5, 0.25, 0.125, 0.0625) }, { cap: 1.5 }]) {
      checkGradients([[7, 64]], (tape, [qkv]) =>
        attention(tape, qkv!, { ...options, clip: 0, rope: null, scores }),
      );
    }
  });

  it('gated linear unit', () => {
    checkGradients([[4, 6]], (tape, [x]) => glu(tape, x!, 'silu'));
    checkGradients([[4, 6]], (tape, [x]) => glu(tape, x!, 'gelu'));
    checkGradients([[4, 6]], (tape, [x]) => glu(tape, x!, 'gelu-tanh'));
  });

  it('a whole layer of experts: route, dispatch, grouped products, combine', () => {
    for (const normalize of [true, false]) {
      checkGradients(
        [
          [6, 4],
          [5, 4],
          [5, 6, 4],
          [5, 3, 4],
        ],
        (tape, [x, router, gateUp, down]) => {
          const logits = linear(tape, x!, new PackedWeight(router!, 'f32'));
          const { weights, experts } = route(tape, logits, {
            topK: 2,
            normalize,
            balanceWeight: 0,
            gradScale: 1,
          });
          const plan = planDispatch(tape, experts, 2, 5);
          const xs = dispatch(tape, x!, plan);
          const h = glu(
            tape,
            groupedLinear(tape, xs, new PackedWeight(gateUp!, 'f32'), plan.offsets),
            'silu',
          );
          const ys = groupedLinear(tape, h, new PackedWeight(down!, 'f32', 'in-out'), plan.offsets);
          return combine(tape, ys, weights, plan);
        },
      );
    }
  });

  it('embedding with repeated ids', () => {
    checkGradients([[5, 3]], (tape, [table]) => embedding(tape, table!, Int32Array.of(1, 4, 1, 0)));
  });

  it('output projection with cross-entropy and ignored targets', () => {
    const targets = Int32Array.of(2, -1, 0, 6);
    checkGradients(
      [
        [4, 3],
        [7, 3],
      ],
      (tape, [x, w]) => projectionCrossEntropy(tape, x!, new PackedWeight(w!, 'f32'), targets, 3).loss,
      { isLoss: true },
    );
  });

  it('small ops', () => {
    checkGradients(
      [
        [3, 4],
        [3, 4],
      ],
      (tape, [a, b]) => add(tape, a!, b!),
    );
    checkGradients([[3, 4], [4]], (tape, [a, b]) => add(tape, a!, b!));
    checkGradients(
      [
        [3, 4],
        [3, 4],
      ],
      (tape, [a, b]) => mul(tape, a!, b!),
    );
    checkGradients([[3, 4]], (tape, [a]) => mul(tape, a!, a!));
    checkGradients(
      [
        [3, 4],
        [4, 2],
      ],
      (tape, [a, b]) => matmul(tape, a!, b!),
    );
    checkGradients(
      [
        [3, 4],
        [2, 4],
      ],
      (tape, [a, b]) => matmul(tape, a!, b!, { transB: true }),
    );
    checkGradients([[3, 4]], (tape, [a]) => softmax(tape, a!));
    checkGradients([[3, 4]], (tape, [a]) => mean(tape, a!));
    for (const op of ['neg', 'exp', 'tanh', 'sigmoid', 'silu', 'gelu', 'square'] as const) {
      checkGradients([[3, 4]], (tape, [a]) => unary(tape, op, a!));
    }
  });

  it('a residual stream, whose gradients share memory', () => {
    checkGradients([[3, 4], [4], [4, 4]], (tape, [x, norm, w]) => {
      const first = residualAdd(
        tape,
        x!,
        linear(tape, layerNorm(tape, x!, norm!, 1e-5), new PackedWeight(w!, 'f32')),
      );
      return residualAdd(
        tape,
        first,
        linear(tape, layerNorm(tape, first, norm!, 1e-5), new PackedWeight(w!, 'f32')),
      );
    });
  });
});

describe('the balance loss', () => {
  it('is its weight for a uniform load and its gradient is that of its value', () => {
    const kernels = createReferenceKernels();
    const gradientAndValue = (shift: number) => {
      const tape = new Tape(kernels, { floatType: 'f64' });
      const values = [0.5, -0.2, 0.1, 0.3, 0.9 + shift, -0.4, -0.3, 0.8];
      const logits = tape.tensor(values, [2, 4], true);
      const output = route(tape, logits, { topK: 2, normalize: true, balanceWeight: 0.7, gradScale: 1 });
      tape.passGrad(output.weights, new Float64Array(4));
      tape.backward(tape.tensor([0], [1]));
      return { value: output.balanceLoss, gradient: logits.grad![4]! };
    };
    const numeric = (gradientAndValue(1e-5).value - gradientAndValue(-1e-5).value) / 2e-5;
    expect(gradientAndValue(0).gradient).toBeCloseTo(numeric, 8);
    const tape = new Tape(kernels, { floatType: 'f64' });
    const uniform = tape.tensor([1, 1, 0, 0, 0, 0, 1, 1], [2, 4]);
    const output = route(tape, uniform, { topK: 2, normalize: true, balanceWeight: 0.7, gradScale: 1 });
    expect(output.balanceLoss).toBeCloseTo(0.7, 12);
  });
});
