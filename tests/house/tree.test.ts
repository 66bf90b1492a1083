/** The README's annotated tree, the folders of src/ and layers.json tell the same. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { layerRows, readText, repository } from './repository.ts';

const block = readText('README.md').match(/^## The house\n+```\n([\s\S]*?)```/m)![1]!;
const lines = block.trimEnd().split('\n');
const rooms = lines.filter((line) => line.startsWith('  '));
const folders = readdirSync(join(repository, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

describe('the tree in the README', () => {
  it('names the rooms of layers.json, in its order', () => {
    expect(rooms.map((line) => line.trim().split('/')[0])).toEqual(layerRows.flat());
  });

  it('has one phrase for every entry', () => {
    for (const line of lines) expect(line).toMatch(/^ {0,2}[\w.-]+\/? +\w.{10,}$/);
  });

  it('names only what is there', () => {
    const others = lines.filter((line) => !line.startsWith(' ')).map((line) => line.split(/ +/)[0]!);
    expect(others.filter((path) => !existsSync(join(repository, path)))).toEqual([]);
  });
});

it('the folders of src/ are the rooms of layers.json, each with its index.ts', () => {
  expect(folders.sort()).toEqual(layerRows.flat().sort());
  const closed = folders.filter(
    (room) => room !== 'cli' && !existsSync(join(repository, 'src', room, 'index.ts')),
  );
  expect(closed).toEqual([]);
});
