import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { saveTokenizer, trainBpe } from '../tokenizer/index.ts';
import { EncodePool } from './encode-pool.ts';

const tokenizer = trainBpe({ texts: ["the cat's hat, 1234 naïve 日本語\n".repeat(9)], vocabSize: 280 });
let dir: string;
let pool: EncodePool;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-pool-'));
  saveTokenizer(join(dir, 'tokenizer.json'), tokenizer);
  pool = new EncodePool(join(dir, 'tokenizer.json'), tokenizer, 1);
});
afterAll(async () => {
  await pool.close();
  rmSync(dir, { recursive: true });
});

it('encodes a long text in parts to the ids of the whole, an empty one to its end', {
  timeout: 60_000,
}, async () => {
  const text = Array.from({ length: 90_000 }, (_, i) => `the cat's ${i} naïve 日本語。\n\n`).join('');
  const answers = await Promise.all(pool.encodeText(text));
  expect(answers.length).toBeGreaterThan(2);
  const ids = answers.flatMap(({ tokens }) => [...tokens]);
  const expected = [...tokenizer.encode(text), tokenizer.endOfTextId];
  expect(JSON.stringify(ids) === JSON.stringify(expected)).toBe(true);
  expect(answers.reduce((sum, { documents, bytes }) => sum + documents * 1e9 + bytes, 0)).toBe(
    1e9 + Buffer.byteLength(text),
  );
  const [empty] = await Promise.all(pool.encodeText(''));
  expect(empty).toEqual({ tokens: Int32Array.of(tokenizer.endOfTextId), documents: 1, bytes: 0 });
});

it('names the place of a line that is no document, and goes on', { timeout: 60_000 }, async () => {
  const block = (text: string) => ({ bytes: new Uint8Array(Buffer.from(text)), startByte: 100 });
  const line = `${JSON.stringify({ id: 'x', text: 'the cat' })}\n`;
  await expect(pool.encodeLines(block(`${line}{"id": 1}\n`), 'a.jsonl')).rejects.toMatchObject({
    code: 'documents_invalid',
    fields: { path: 'a.jsonl', startByte: 100 + line.length },
  });
  const { tokens, documents } = await pool.encodeLines(block(line + line.trimEnd()), 'a.jsonl');
  expect(documents).toBe(2);
  expect(tokenizer.decode(tokens)).toBe('the cat<|endoftext|>the cat<|endoftext|>');
});
