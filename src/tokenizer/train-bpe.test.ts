import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { trainBpe } from './index.ts';
import { piecesOf } from './plain-bpe.ts';

/** The definition: recount every pair after every merge. */
function trainSlowly(text: string, numMerges: number): [number, number, number][] {
  const byteIds = trainBpe({ texts: [], vocabSize: 257, specialTokens: ['<|endoftext|>'] });
  const idOfByte = new Map(Array.from({ length: 256 }, (_, id) => [byteIds.tokenBytes(id)[0]!, id]));
  const encoder = new TextEncoder();
  const words = piecesOf('cl100k', text).map((piece) =>
    Array.from(encoder.encode(piece), (byte) => idOfByte.get(byte)!),
  );
  const names = new Map(Array.from({ length: 256 }, (_, id) => [String(id), id]));
  const nameOf = new Map(Array.from({ length: 256 }, (_, id) => [id, String(id)]));
  const merges: [number, number, number][] = [];
  const used = new Set<string>();
  while (names.size < 256 + numMerges) {
    const counts = new Map<string, number>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const key = `${word[i]},${word[i + 1]}`;
        if (!used.has(key)) counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    const best = [...counts].map(
      ([key, count]) => [...key.split(',').map(Number), count] as [number, number, number],
    );
    best.sort((a, b) => b[2] - a[2] || a[0] - b[0] || a[1] - b[1]);
    if (!best[0]) break;
    const [left, right] = best[0];
    used.add(`${left},${right}`);
    const name = `${nameOf.get(left)} ${nameOf.get(right)}`;
    const id = names.get(name) ?? names.size;
    names.set(name, id);
    nameOf.set(id, name);
    merges.push([left, right, id]);
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++)
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, id);
    }
  }
  return merges;
}

describe('trainBpe', () => {
  it('learns the merges of the definition', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', 'c', ' ', '-', 'é', '\n'),
      minLength: 20,
      maxLength: 200,
    });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 12 }), (each, numMerges) => {
        const slow = trainSlowly(each, numMerges);
        fc.pre(new Set(slow.map((merge) => merge[2])).size === numMerges);
        const fast = trainBpe({
          texts: [each],
          vocabSize: 257 + numMerges,
          specialTokens: ['<|endoftext|>'],
        });
        const { vocab, merges } = fast.toJSON().model as {
          vocab: Record<string, number>;
          merges: [string, string][];
        };
        expect(merges.map(([left, right]) => [vocab[left], vocab[right], vocab[left + right]])).toEqual(slow);
      }),
    );
  });

  it('fills the vocabulary exactly, special tokens last, and every token is reached by its merges', () => {
    const tokenizer = trainBpe({ texts: ['the cat sat on the mat, the cat sat'], vocabSize: 270 });
    expect(tokenizer.vocabSize).toBe(270);
    expect([...tokenizer.specialTokens.values()]).toEqual([266, 267, 268, 269]);
    for (let id = 256; id < 266; id++) {
      expect([...tokenizer.encode(tokenizer.decode([id]))]).toEqual([id]);
    }
  });

  it('refuses a size it cannot fill', () => {
    for (const vocabSize of [100, 259, 5000]) {
      expect(() => trainBpe({ texts: ['little text'], vocabSize })).toThrow(
        expect.objectContaining({ code: 'tokenizer_vocab_size' }),
      );
    }
  });

  it('reports its progress', () => {
    const stages = new Set<string>();
    const texts = Array.from({ length: 300 }, (_, i) => `word${i} ${String.fromCodePoint(0x4e00 + i * 7)}`);
    trainBpe({ texts, vocabSize: 384, onProgress: (progress) => stages.add(progress.stage) });
    expect([...stages]).toEqual(['count', 'merge']);
  });
});
