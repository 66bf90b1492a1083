/** Rules about files: how long, how they are named, where the environment may be read. */
import { describe, expect, it } from 'vitest';
import { filesBelow, readText } from './repository.ts';

const sources = ['src', 'dashboard/src'].flatMap((folder) => filesBelow(folder, /\.tsx?$/));
const outsideCli = sources.filter(
  (path) => /^src\/(?!cli\/|base\/)/.test(path) && !/\.(test|suite)\.ts$/.test(path),
);

describe('source files', () => {
  it('have at most 400 lines', () => {
    const lengths = sources.map((path) => `${path} ${readText(path).split('\n').length - 1}`);
    expect(lengths.filter((each) => Number(each.split(' ')[1]) > 400)).toEqual([]);
  });

  it('have no name that says nothing', () => {
    expect(sources.filter((path) => /\b(utils?|common|helpers?|misc)\b/.test(path))).toEqual([]);
  });

  it('begin with a comment that says what they hold, unless they only re-export', () => {
    const bare = sources.filter((path) => {
      const text = readText(path);
      return !/^(#!.*\n)?\s*\/\*\*/.test(text) && !/index\.ts$|\.(test|suite)\.tsx?$/.test(path);
    });
    expect(bare).toEqual([]);
  });

  it.each(['process.env', 'process.argv', 'Date.now(', 'Math.random(', 'console.'])(
    'below cli do not use %s',
    (word) => {
      const users = outsideCli.filter((path) =>
        readText(path)
          .split('\n')
          .some((line) => line.includes(word) && !/^\s*(\*|\/\/|\/\*)/.test(line)),
      );
      expect(users).toEqual([]);
    },
  );
});
