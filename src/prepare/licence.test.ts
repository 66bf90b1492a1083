import { describe, expect, it } from 'vitest';
import { withoutLicence } from './licence.ts';

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
