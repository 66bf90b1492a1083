/**
 * Holds blocks against ggml's own quantisers, row after row of every kind until the time is over: `npx tsx bench/check-blocks.ts
 * [--minutes 5]`; with `--golden` it writes what ggml makes of a few rows to src/tensor/reference/blocks/ggml.json, for the tests.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { anyBytes, oddRow, ROW_KINDS } from '../src/tensor/conformance/odd-rows.ts';
import {
  BLOCK_FORMATS,
  type BlockFormat,
  blockBytes,
  createKernels,
  QUANTIZABLE,
} from '../src/tensor/index.ts';
import { bitsOf, type Ggml, openGgml } from '../tests/numerics/ggml-blocks.ts';
import { findLlamaCpp } from './peers/llama-cpp.ts';

const GOLDEN = join(import.meta.dirname, '../src/tensor/reference/blocks/ggml.json');
const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '5' }, golden: { type: 'boolean', default: false } },
});
const found = findLlamaCpp();
if (typeof found === 'string') {
  console.error(found);
  process.exit(2);
}
const ggml = openGgml(found);
if (values.golden) writeGolden(ggml);
else process.exitCode = check(ggml, Number(values.minutes));

function check(ggml: Ggml, minutes: number): number {
  const kernels = createKernels();
  const end = performance.now() + minutes * 60_000;
  let rows = 0;
  let different = 0;
  const complain = (what: string) => {
    different++;
    console.error(`differs: ${what}`);
  };
  for (let i = 1000; performance.now() < end; i++) {
    for (const format of QUANTIZABLE) {
      for (const kind of ROW_KINDS) {
        const x = oddRow(kind, i);
        const blocks = new Uint8Array(blockBytes(format, x.length));
        kernels.quantizeBlocks(blocks, x, format);
        rows++;
        if (Buffer.compare(blocks, ggml.quantize(x, format))) complain(`${format} of row ${i}, ${kind}`);
      }
    }
    for (const format of Object.keys(BLOCK_FORMATS) as BlockFormat[]) {
      const blocks = anyBytes(blockBytes(format, 1024), i);
      const y = new Float32Array(1024);
      kernels.dequantizeBlocks(y, blocks, format);
      const same = Buffer.compare(
        Buffer.from(bitsOf(y).buffer),
        Buffer.from(bitsOf(ggml.dequantize(blocks, 1024, format)).buffer),
      );
      rows += 4;
      if (same) complain(`values of ${format} ${i}`);
    }
  }
  console.log(`${rows} rows of 256 weights on ${kernels.name}, ${different} different`);
  return different ? 1 : 0;
}

/** One block whole, and the digest of three rows of each kind; of dequantised values a digest. */
function writeGolden(ggml: Ggml): void {
  const digest = (parts: readonly Uint8Array[]) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest('hex').slice(0, 16);
  };
  const quantized = QUANTIZABLE.map((format) => {
    const of = (kind: string) => [0, 1, 2].map((i) => ggml.quantize(oddRow(kind, i), format));
    const first = Buffer.from(of('plain')[0]!.subarray(0, BLOCK_FORMATS[format].bytes)).toString('hex');
    return [
      format,
      { first, digests: Object.fromEntries(ROW_KINDS.map((kind) => [kind, digest(of(kind))])) },
    ];
  });
  const dequantized = (Object.keys(BLOCK_FORMATS) as BlockFormat[]).map((format) => {
    const blocks = anyBytes(blockBytes(format, 8192), 0);
    return [format, digest([new Uint8Array(bitsOf(ggml.dequantize(blocks, 8192, format)).buffer)])];
  });
  const golden = { quantized: Object.fromEntries(quantized), dequantized: Object.fromEntries(dequantized) };
  writeFileSync(GOLDEN, `${JSON.stringify(golden, null, 2)}\n`);
}
