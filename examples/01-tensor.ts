// Tensors and gradients: fit a line through noisy points with the tape and plain gradient descent.
import { add, createKernels, matmul, mean, mul, Tape, Tensor } from 'dabarex/tensor';

const kernels = createKernels();
const slope = new Tensor(new Float32Array(1), [1, 1], true);
const offset = new Tensor(new Float32Array(1), [1], true);
const xs = Float32Array.from({ length: 64 }, (_, i) => i / 32 - 1);
const ys = xs.map((x, i) => 3 * x - 0.5 + 0.01 * Math.sin(37 * i));

const tape = new Tape(kernels);
for (let step = 0; step <= 200; step++) {
  for (const parameter of [slope, offset]) parameter.hasGrad = false;
  const x = tape.tensor(xs, [64, 1]);
  const negativeTarget = tape.tensor(
    ys.map((y) => -y),
    [64, 1],
  );
  const error = add(tape, add(tape, matmul(tape, x, slope), offset), negativeTarget);
  const loss = mean(tape, mul(tape, error, error));
  tape.backward(loss);
  if (step % 50 === 0) console.log(`step ${step}: loss ${loss.data[0]!.toFixed(5)}`);
  for (const { data, grad } of [slope, offset]) kernels.scale(data, grad!, -0.3, true);
  tape.reset();
  for (const parameter of [slope, offset]) parameter.grad = null;
}
console.log(`y = ${slope.data[0]!.toFixed(2)} x + ${offset.data[0]!.toFixed(2)} on ${kernels.name}`);
