import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compressionOf } from '../compression.ts';
import { readLines } from './lines.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dabarex-lines-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const zstd = (bytes: Uint8Array) => compressionOf('zstd')!.pack(bytes);
const ways: readonly [string, (bytes: Uint8Array) => Uint8Array][] = [
  ['a.jsonl', (bytes) => bytes],
  ['a.jsonl.gz', (bytes) => gzipSync(bytes)],
  ['A.JSONL.ZST', zstd],
];

function fileOf(name: string, content: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function linesOf(path: string, options = {}): Promise<[number, string][]> {
  const lines: [number, string][] = [];
  for await (const { number, bytes } of readLines(path, options))
    lines.push([number, bytes.toString('latin1')]);
  return lines;
}

describe.each(ways)('%s', (name, pack) => {
  it('is read line by line, with the numbers lines have there', async () => {
    const line = fc.oneof(
      fc.constantFrom('', '\r', 'x', '\u2028', ' '),
      fc.string({ unit: 'grapheme', maxLength: 9 }).map((text) => text.replaceAll('\n', '')),
      fc.integer({ min: 1, max: 3 << 19 }).map((length) => 'long'.repeat(length / 4)),
    );
    const texts = fc.tuple(fc.array(line, { maxLength: 20 }), fc.boolean(), fc.constantFrom('', '\ufeff'));
    await fc.assert(
      fc.asyncProperty(texts, async ([lines, ends, mark]) => {
        const content = Buffer.from(`${mark}${lines.join('\n')}${ends ? '\n' : ''}`);
        let bytes = 0;
        const path = fileOf(name, pack(content));
        const found = await linesOf(path, { onBytes: (count: number) => (bytes += count) });
        const wanted = lines.map((each, i) => [i + 1, Buffer.from(each).toString('latin1')] as const);
        expect(found).toEqual(wanted.filter(([, text]) => text !== '' && text !== '\r'));
        expect(bytes).toBe(statSync(path).size);
      }),
      { numRuns: 15 },
    );
  });

  it('is read on over several members, and refused where a line has no end or the end is missing', async () => {
    const member = pack(Buffer.from('{"a":1}\n{"a":2}\n'));
    const path = fileOf(name, Buffer.concat([member, member]));
    expect((await linesOf(path)).map(([number]) => number)).toEqual([1, 2, 3, 4]);
    fileOf(name, pack(Buffer.concat([Buffer.from('short\n'), Buffer.alloc(9 << 20, 120)])));
    const limits = { maxLineBytes: 8 << 20 };
    await expect(linesOf(path, limits)).rejects.toMatchObject({ kind: 'line_too_long', line: 2 });
    expect(await linesOf(path, { maxLineBytes: 10 << 20 })).toHaveLength(2);
    if (name === 'a.jsonl') return;
    fileOf(name, member.subarray(0, member.length - 9));
    await expect(linesOf(path)).rejects.toMatchObject({ kind: 'damaged' });
    fileOf(name, Buffer.from('no archive, but text that is long enough'));
    await expect(linesOf(path)).rejects.toMatchObject({ kind: 'damaged' });
  });
});

it.each([
  ['a window', [0x00, 0xa8, 0x01, 0x00, 0x00]],
  ['a content', [0xa0, 0xff, 0xff, 0xff, 0x7f, 0x01, 0x00, 0x00]],
])('refuses zstd that wants 2 GiB for %s before it gives them', async (_, head) => {
  const path = fileOf('greedy.zst', Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, ...head]));
  await expect(linesOf(path)).rejects.toMatchObject({
    kind: 'damaged',
    message: expect.stringContaining('2048 MiB'),
  });
});

it('says that a file is not there, or is none', async () => {
  for (const name of ['absent', 'absent.gz', 'absent.zst']) {
    await expect(linesOf(join(folder, name))).rejects.toMatchObject({ code: 'file_missing' });
  }
  await expect(linesOf(folder)).rejects.toMatchObject({ code: 'path_unusable' });
});
