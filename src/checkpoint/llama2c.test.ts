import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLlama2c, readLlama2cTokenizer } from './llama2c.ts';

const vectors = resolve(process.env.DABAREX_VECTORS ?? '../shared/vectors', 'models');
const hasVectors = existsSync(vectors);
const whyNot = hasVectors ? '' : ` (skipped: no folder ${vectors})`;

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-llama2c-'));
  path = join(dir, 'model.bin');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const refused = expect.objectContaining({ code: 'llama2c_invalid' });
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

describe.skipIf(!hasVectors)(`stories260K${whyNot}`, () => {
  it('is read to its last byte', () => {
    const model = openLlama2c(join(vectors, 'stories260K.bin'));
    expect(model.config).toEqual({
      dim: 64,
      hiddenDim: 172,
      numLayers: 5,
      numHeads: 8,
      numKvHeads: 4,
      vocabSize: 512,
      seqLen: 512,
      tied: true,
    });
    const parameters = [...model.tensors.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes / 4, 0);
    expect([model.tensors.size, parameters]).toEqual([47, 260032]);
    expect(model.tensors.get('layers.4.attention.wk.weight')!.shape).toEqual([32, 64]);
    expect(model.tensors.get('layers.4.feed_forward.w2.weight')!.shape).toEqual([64, 172]);
    // Weights of a norm lie around 1 and beyond, those of a matrix around 0: nothing is shifted.
    const mean = (name: string) =>
      model.read(name).reduce((a, b) => a + b) / model.tensors.get(name)!.sizeBytes / 4 ** -1;
    expect(mean('norm.weight')).toBeGreaterThan(1);
    expect(mean('layers.4.ffn_norm.weight')).toBeGreaterThan(0.5);
    expect(Math.abs(mean('layers.4.feed_forward.w3.weight'))).toBeLessThan(0.05);
    expect(model.readRange('tok_embeddings.weight', 3, 5)).toEqual(
      model.read('tok_embeddings.weight').subarray(192, 320),
    );
    expect(() => model.readRange('norm.weight', 0, 65)).toThrow(RangeError);
    expect(() => model.read('output.weight')).toThrow(
      expect.objectContaining({ code: 'checkpoint_mismatch' }),
    );
    model.close();
  });

  it('has a tokenizer', () => {
    const tokens = readLlama2cTokenizer(join(vectors, 'tok512.bin'), 512);
    expect([text(tokens[0]?.bytes), text(tokens[3]?.bytes), text(tokens[265]?.bytes)]).toEqual([
      '<unk>',
      '<0x00>',
      ' the',
    ]);
    expect(tokens[265]?.score).toBe(-6);
    expect(() => readLlama2cTokenizer(join(vectors, 'tok512.bin'), 511)).toThrow(refused);
    expect(() => readLlama2cTokenizer(join(vectors, 'stories260K.bin'))).toThrow(refused);
    const bytes = readFileSync(join(vectors, 'tok512.bin'));
    for (const length of [0, 3, 7, 11, 40, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(() => readLlama2cTokenizer(path), `${length} bytes`).toThrow(refused);
    }
  });
});

describe('a checkpoint of llama2.c', () => {
  /** 2 layers, 4 dimensions, 2 heads, 1 of keys, 3 hidden, 5 tokens, 6 positions. */
  const words = (vocab: number) => [4, 3, 2, 2, 1, vocab, 6];
  const weights = (tied: boolean) =>
    5 * 4 + 2 * (4 + 16 + 8 + 8 + 16 + 4 + 12 + 12 + 12) + 4 + 2 * 6 * 1 + (tied ? 0 : 5 * 4);
  const write = (header: readonly number[], count: number) =>
    writeFileSync(
      path,
      Buffer.concat([
        Buffer.from(Int32Array.from(header).buffer),
        Buffer.from(Float32Array.from({ length: count }, (_, i) => i).buffer),
      ]),
    );

  it('with a table of its own for the output has it at the end', () => {
    write(words(-5), weights(false));
    const model = openLlama2c(path);
    expect(model.config).toMatchObject({ vocabSize: 5, tied: false });
    expect(model.read('tok_embeddings.weight')[0]).toBe(0);
    expect(model.read('layers.1.attention_norm.weight')[0]).toBe(24);
    expect(model.read('output.weight').at(-1)).toBe(weights(false) - 1);
    model.close();
    write(words(5), weights(true));
    openLlama2c(path).close();
  });

  it.each<[string, readonly number[]]>([
    ['of version 1', [0x616b3432, 1, 4, 3, 2, 2, 1]],
    ['without dimensions', [0, 3, 2, 2, 1, 5, 6]],
    ['with negative layers', [4, 3, -2, 2, 1, 5, 6]],
    ['with 2^31 layers', [4, 3, 2 ** 31 - 1, 2, 1, 5, 6]],
    ['with everything at 2^31', [2 ** 30, 2 ** 31 - 1, 4096, 2, 1, 2 ** 31 - 1, 2 ** 31 - 1]],
    ['with no vocabulary', [4, 3, 2, 2, 1, 0, 6]],
    ['with heads that do not divide', [4, 3, 2, 3, 1, 5, 6]],
    ['with key heads that do not divide', [8, 3, 2, 4, 3, 5, 6]],
    ['with an odd head', [6, 3, 2, 2, 1, 5, 6]],
    ['with too few weights', [4, 3, 3, 2, 1, 5, 6]],
    ['with too many weights', [4, 3, 1, 2, 1, 5, 6]],
  ])('%s is refused', (_, header) => {
    write(header, weights(true));
    expect(() => openLlama2c(path)).toThrow(refused);
  });

  it('is refused cut short anywhere', () => {
    write(words(5), weights(true));
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length += 3) {
      writeFileSync(path, whole.subarray(0, length));
      expect(() => openLlama2c(path), `${length} bytes`).toThrow(refused);
    }
  });
});
