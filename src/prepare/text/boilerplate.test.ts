import { describe, expect, it } from 'vitest';
import { boilerplate } from './boilerplate.ts';
import { documentsOf, runStage, surveyStage, textsOf } from './testing/run-stage.ts';

const LICENCE = 'Copyright (c) 2018 The Authors.\nLicensed under terms.';
const pages = Array.from(
  { length: 40 },
  (_, i) =>
    `${LICENCE}\n\n# Page ${i}\n\nBody number ${i}.\n\n\`\`\`js\nimport shared from 'x';\n\nimport shared from 'x';\n\`\`\`\n\nSee also the other pages.\n`,
);
const bodyOf = (i: number) =>
  `# Page ${i}\n\nBody number ${i}.\n\n\`\`\`js\nimport shared from 'x';\n\nimport shared from 'x';\n\`\`\`\n\n`;

describe('boilerplate', () => {
  it('cuts paragraphs that stand in many documents of a source, not fenced code, and counts them', async () => {
    const outcomes = await runStage(boilerplate, {}, [documentsOf(pages)]);
    expect(textsOf(outcomes)).toEqual(pages.map((_, i) => bodyOf(i)));
    expect(outcomes[0]!.counts).toEqual({
      pieces_cut: 2,
      characters_cut: pages[0]!.length - bodyOf(0).length,
    });
  });

  it('gives the same with any shards and in any memory', async () => {
    const documents = documentsOf(pages);
    const whole = await runStage(boilerplate, {}, [documents]);
    const shards = [documents.slice(0, 3), [], documents.slice(3, 30), documents.slice(30)];
    expect(await runStage(boilerplate, {}, shards, { memoryBytes: 1000 })).toEqual(whole);
  });

  it('counts each source for itself, and documents once', async () => {
    const few = documentsOf(pages.slice(0, 9), 'file:other');
    const repeating = documentsOf([`${'Again and again.\n\n'.repeat(50)}end`], 'file:third');
    const outcomes = await runStage(boilerplate, {}, [[...documentsOf(pages), ...few, ...repeating]]);
    expect(textsOf(outcomes).slice(40)).toEqual([...few, ...repeating].map((each) => each.text));
  });

  it('cuts lines at the edges of code only, digits aside where told', async () => {
    const code = Array.from(
      { length: 20 },
      (_, i) => `// Copyright 20${i + 10} A\n\nconst x${i} = 1;\nuse strict now;\n}\n// end of file\n`,
    );
    const code2 = code.map((text, i) => (i ? text : text.replace('const x0 = 1;\n', '')));
    const settings = { unit: 'line', edges: true, ignoreDigits: true, keepFencedCode: false };
    const outcomes = await runStage(boilerplate, { ...settings, minCharacters: 10 }, [documentsOf(code2)]);
    expect(textsOf(outcomes)[1]).toBe('const x1 = 1;\nuse strict now;\n}\n');
    expect(textsOf(outcomes)[0]).toBe('}\n');
  });

  it('rejects a document of which nothing stays, and describes its survey', async () => {
    const documents = documentsOf([...pages, `${LICENCE}\n`]);
    const outcomes = await runStage(boilerplate, {}, [documents]);
    expect(outcomes.at(-1)).toMatchObject({ reject: 'only_boilerplate' });
    const summary = await surveyStage(boilerplate, boilerplate.schema.parse({}), [documents]);
    expect(boilerplate.survey!.describe!(summary!)).toEqual({ pieces: 2 });
  });
});
