/**
 * Weights on their way into a file: parts of float32 become parts of bytes in a format of GGUF, the next one made when the one
 * before was taken. How blocks are made stands in the kernels; here is what they must not be given.
 */
import { DabarexError } from '../base/index.ts';
import { type BlockKernels, blockBytes, createKernels, type QuantizableFormat } from '../tensor/index.ts';

/**
 * The bytes of `values`, each part a whole number of blocks.
 * @param name of the tensor, for the message
 * @throws weights_not_representable at a weight that is NaN, infinite, or too large for the format
 */
export function* quantizeParts(
  values: Iterable<Float32Array>,
  format: QuantizableFormat,
  name: string,
  kernels: BlockKernels = createKernels(),
): Generator<Uint8Array> {
  let index = 0;
  for (const part of values) {
    const blocks = new Uint8Array(blockBytes(format, part.length));
    if (!kernels.quantizeBlocks(blocks, part, format)) throw notRepresentable(part, index, format, name);
    index += part.length;
    yield blocks;
  }
}

function notRepresentable(
  part: Float32Array,
  start: number,
  format: QuantizableFormat,
  name: string,
): DabarexError {
  let worst = 0;
  for (let i = 0; i < part.length; i++) {
    if (Number.isNaN(part[worst]!)) break;
    if (!(Math.abs(part[i]!) <= Math.abs(part[worst]!))) worst = i;
  }
  return new DabarexError(
    'weights_not_representable',
    `Weight ${start + worst} of "${name}" is ${part[worst]}, which ${format} cannot hold. ` +
      'Write f32, or use a checkpoint from before training diverged.',
    { name, format, index: start + worst },
  );
}
