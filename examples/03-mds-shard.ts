/** Token shards in MDS: written here, read here, and by MosaicML Streaming. Run: `npx tsx examples/03-mds-shard.ts` */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MdsReader, MdsWriter } from 'dabarex/stream';

const dir = mkdtempSync(join(tmpdir(), 'dabarex-example-'));

// Columns have names and encodings; a shard is closed when it reaches sizeLimit bytes.
const writer = new MdsWriter({
  dir,
  columns: { name: 'str', tokens: 'ndarray:int32' },
  sizeLimit: 4096,
  hashes: ['sha1'],
});
for (let i = 0; i < 100; i++) {
  const tokens = Int32Array.from({ length: 16 }, (_, j) => i * 16 + j);
  writer.write({ name: `sample ${i}`, tokens });
}
const { numSamples, numShards, sizeBytes } = writer.finish();
console.log(`${numSamples} samples in ${numShards} shards, ${sizeBytes} bytes`);

// Any sample by its number; the shard's bytes are checked against the hash first.
const reader = new MdsReader(dir);
const { name, tokens } = reader.read(42) as { name: string; tokens: Int32Array };
console.log(`${name}: ${tokens.subarray(0, 4).join(' ')} ...`);
reader.close();
rmSync(dir, { recursive: true });
