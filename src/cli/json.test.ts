import { expect, it } from 'vitest';
import { toJsonLine } from './json.ts';

it('turns our own keys into snake_case, and leaves what a user has named', () => {
  const report = { textBytes: 1, domains: { myNotes: { lossNats: 2, sources: [{ latin1Files: 3 }] } } };
  expect(JSON.parse(toJsonLine(report))).toEqual({
    text_bytes: 1,
    domains: { myNotes: { loss_nats: 2, sources: [{ latin1_files: 3 }] } },
  });
});

it('leaves the parts of a recipe as they are in a recipe', () => {
  const parts = { model: { dModel: 64 }, config: { heldOut: { kind: 'hash' } } };
  expect(JSON.parse(toJsonLine(parts))).toEqual(parts);
});
