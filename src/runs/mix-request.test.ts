import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DabarexError } from '../base/index.ts';
import { MixRequestReader, mixRequestPath, writeMixRequest } from './mix-request.ts';

const run = mkdtempSync(join(tmpdir(), 'dabarex-mix-'));
const path = mixRequestPath(run);
const domains = ['prose', 'code'];
beforeAll(() => mkdirSync(dirname(path)));
afterAll(() => rmSync(run, { recursive: true }));

describe('the request for another mix', () => {
  it('is seen once, when it is written, and known again by its bytes', () => {
    const reader = new MixRequestReader(run, domains);
    expect(reader.look()).toBeUndefined();
    writeMixRequest(run, { prose: 2, code: 1 }, domains);
    const first = reader.look()!;
    expect(first.weights).toEqual({ prose: 2, code: 1 });
    expect(reader.look()).toBeUndefined();
    writeMixRequest(run, 'curriculum', domains);
    expect(reader.look()).toMatchObject({ weights: 'curriculum' });
    writeMixRequest(run, { prose: 2, code: 1 }, domains);
    expect(reader.look()!.digest).toBe(first.digest);
    rmSync(path);
    expect(reader.look()).toBeUndefined();
  });

  it.each([
    ['another domain', 'weights: { verse: 1 }', /"verse".*prose, code/],
    ['nothing but zeros', 'weights: { prose: 0 }', /sum to 0/],
    ['more than can be summed', 'weights: { prose: 1.0e+308, code: 1.0e+308 }', /sum to Infinity/],
    ['a weight below zero', 'weights: { prose: -1, code: 2 }', /weights/],
    ['another key', 'weight: { prose: 1 }', /weights/],
    ['no YAML', 'weights: { prose: 1', /no YAML/],
    ['no mapping', '- 1', /mapping/],
    [
      'a bomb of aliases',
      `a: &a [1,1]\nb: &b [${'*a,'.repeat(60)}]\nweights: [${'*b,'.repeat(60)}]`,
      /alias|weights/i,
    ],
    ['no text', Buffer.from([0xff, 0xfe, 0x77]), /UTF-8|encoded data/i],
    ['too much', `weights: { prose: 1 }\n${'#'.repeat(70_000)}`, /65536 bytes/],
  ])('that holds %s is told as an error, not thrown', (_, content, problem) => {
    writeFileSync(path, content);
    const { weights } = new MixRequestReader(run, domains).look()!;
    expect(weights).toBeInstanceOf(DabarexError);
    expect((weights as DabarexError).message).toMatch(problem);
    expect((weights as DabarexError).code).toMatch(/^config_/);
  });

  it('is not looked at while it is empty, nor where it is a folder', () => {
    writeFileSync(path, '');
    expect(new MixRequestReader(run, domains).look()).toBeUndefined();
    rmSync(path);
    mkdirSync(path);
    expect(new MixRequestReader(run, domains).look()!.weights).toBeInstanceOf(DabarexError);
    rmSync(path, { recursive: true });
  });

  it('is not written where no run could take it', () => {
    expect(() => writeMixRequest(run, { verse: 1 }, domains)).toThrow(/"verse"/);
    expect(() => readFileSync(path)).toThrow(/ENOENT/);
  });
});
