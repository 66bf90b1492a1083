/**
 * Output projection and cross-entropy in one op, by chunks of rows, so that the logits [R, V] never exist whole.
 * The gradient is computed in the forward pass while a chunk's logits are in cache, which is possible because
 * the loss ends the tape: its own gradient must be 1, i.e. it is what `backward` starts from.
 * Legend: R rows, D dim, V vocabulary.
 */
import { assert, finishParts, type Parts } from '../../base/index.ts';
import type { FloatArray } from '../kernels.ts';
import type { Tape } from '../tape.ts';
import { asMatrix, Tensor } from '../tensor.ts';
import type { PackedWeight } from './linear.ts';

const CHUNK_BYTES = 8 << 20;

export interface ProjectionLoss {
  /** scalar: sum of the rows' losses / normalizer, in nats */
  readonly loss: Tensor;
  /** [R] loss of every row, 0 where ignored */
  readonly losses: FloatArray;
}

/**
 * loss = sum over rows with targets[r] >= 0 of -log softmax(x[r] · Wᵀ)[targets[r]], divided by `normalizer`.
 * x [R, D], weight [V, D]. Adds to the weight's gradient at once when recording.
 */
export function projectionCrossEntropy(
  tape: Tape,
  x: Tensor,
  weight: PackedWeight,
  targets: Int32Array,
  normalizer: number,
): ProjectionLoss {
  return finishParts(projectionCrossEntropyInParts(tape, x, weight, targets, normalizer));
}

/** As {@link projectionCrossEntropy}; may pause after every chunk. */
export function* projectionCrossEntropyInParts(
  tape: Tape,
  x: Tensor,
  weight: PackedWeight,
  targets: Int32Array,
  normalizer: number,
): Parts<ProjectionLoss> {
  const { rows, dim } = asMatrix(x);
  const { kernels, arena } = tape;
  const vocab = weight.outputs;
  assert(weight.layout === 'out-in' && dim === weight.inputs, 'projectionCrossEntropy: weight is not [V, D]');
  const losses = arena.floats(rows);
  const training = tape.recording && (x.requiresGrad || weight.tensor.requiresGrad);
  const dx = training ? arena.floats(x.size) : null;
  const chunkRows = Math.max(64, Math.floor(CHUNK_BYTES / (vocab * 4) / 64) * 64);
  if (training && weight.tensor.requiresGrad) weight.tensor.grad ??= arena.floats(weight.tensor.size);
  const mark = arena.mark();
  const logits = arena.floats(Math.min(chunkRows, rows) * vocab);
  for (let start = 0; start < rows; start += chunkRows) {
    const end = Math.min(rows, start + chunkRows);
    const chunk = logits.subarray(0, (end - start) * vocab);
    const xChunk = x.data.subarray(start * dim, end * dim);
    kernels.gemmPacked(chunk, xChunk, weight.forward(kernels), end - start);
    const [lossChunk, targetChunk] = [losses.subarray(start, end), targets.subarray(start, end)];
    kernels.softmaxCrossEntropy(
      lossChunk,
      chunk,
      targetChunk,
      end - start,
      vocab,
      training ? 1 / normalizer : 0,
    );
    if (dx) {
      kernels.gemmPacked(dx.subarray(start * dim, end * dim), chunk, weight.backward(kernels), end - start);
      addWeightGradient(tape, weight, chunk, xChunk);
    }
    yield;
  }
  arena.release(mark);
  const loss = new Tensor(arena.floats(1), [1], training);
  loss.data[0] = kernels.sum(losses) / normalizer;
  tape.record(loss, (dloss) => {
    assert(dloss[0] === 1, 'projectionCrossEntropy must be the end of the tape');
    tape.passGrad(x, dx!);
  });
  return { loss, losses };
}

function addWeightGradient(tape: Tape, weight: PackedWeight, dlogits: FloatArray, x: FloatArray): void {
  const target = tape.gradOf(weight.tensor);
  if (!target) return;
  const { inputs: n, outputs: m, precision } = weight;
  const k = x.length / n;
  tape.kernels.gemm(target.grad, dlogits, x, {
    m,
    n,
    k,
    transA: true,
    accumulate: target.accumulate,
    precision,
  });
}
