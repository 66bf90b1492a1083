import { describe, expect, it } from 'vitest';
import { filterConfigSchema } from './config.ts';
import { rejectDocument, rejectFile, withoutLicence } from './filters.ts';

const filters = filterConfigSchema.parse({});

it('takes code with a line of more than 2000 characters for minified, and prose not', () => {
  const long = `a\n${'x'.repeat(2001)}\nb`;
  expect(rejectFile('code', long, filters)).toBe('minified');
  expect(rejectFile('code', `a\n${'x'.repeat(2000)}\n${'y'.repeat(2000)}`, filters)).toBeUndefined();
  expect(rejectFile('text', long, filters)).toBeUndefined();
});

it('drops documents that are too short', () => {
  expect(rejectDocument('x'.repeat(63), filters)).toBe('too_short');
  expect(rejectDocument(`  ${'x'.repeat(63)}\n\n`, filters)).toBe('too_short');
  expect(rejectDocument('x'.repeat(64), filters)).toBeUndefined();
});

describe('withoutLicence', () => {
  it('cuts licence comments off the head, several too, and keeps a #! line', () => {
    expect(
      withoutLicence('#!/usr/bin/env node\n/** @license MIT */\n// Copyright 2020 A\n// B\n\n/** doc */\nx'),
    ).toBe('#!/usr/bin/env node\n/** doc */\nx');
  });

  it('leaves other comments, licences further down and plain code', () => {
    for (const text of ['/** What it does. */\nx', 'const a = 1;\n/* copyright */', '// a note\nx\n'])
      expect(withoutLicence(text)).toBe(text);
  });
});
