/** Text files as a data set of tokens, tokenized as they are read: any sample by its number. Run: `npx tsx examples/07-text-files.ts` */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openTextReader } from 'dabarex/stream';
import { trainBpe } from 'dabarex/tokenizer';

const dir = mkdtempSync(join(tmpdir(), 'dabarex-example-'));
const documents = Array.from({ length: 200 }, (_, i) => `Document ${i}: the cat sat on the mat.`);
const lines = documents.map((text) => `${JSON.stringify({ text })}\n`).join('');
writeFileSync(join(dir, 'a.jsonl'), lines);
writeFileSync(join(dir, 'b.jsonl.gz'), gzipSync(lines));
writeFileSync(join(dir, 'c.txt'), 'A file of plain text is one document.');
const tokenizer = trainBpe({ texts: documents, vocabSize: 300 });

// The first opening passes over the text once and leaves an index in the cache; the next finds it.
const files = ['a.jsonl', 'b.jsonl.gz', 'c.txt'].map((name) => join(dir, name));
const reader = await openTextReader(files, { tokenizer, sampleTokens: 33, cacheDir: join(dir, 'cache') });
console.log(`${reader.numTokens} tokens, ${reader.numSamples} samples of 33, neighbours sharing one`);
for (const k of [reader.numSamples - 1, 7]) {
  console.log(`sample ${k}: ${JSON.stringify(tokenizer.decode(reader.read(k).tokens))}`);
}
reader.close();
rmSync(dir, { recursive: true });
