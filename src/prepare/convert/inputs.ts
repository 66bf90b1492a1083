/**
 * What stands at the input of a conversion: files of one format, by split. Splits are named as Hugging Face's folders name them:
 * `train-00000-of-00004.parquet`, `test.jsonl`, `validation/x.parquet`.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { DabarexError, fileError } from '../../base/index.ts';
import { isMdsDataset } from '../../stream/index.ts';

export type InputFormat = 'jsonl' | 'parquet' | 'text' | 'mds';

export interface InputFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface InputSplit {
  /** '' where the input has no splits */
  readonly name: string;
  readonly files: readonly InputFile[];
}

export interface Inputs {
  readonly format: InputFormat;
  /** by name; the files of each by path */
  readonly splits: readonly InputSplit[];
}

const FORMATS: readonly [Exclude<InputFormat, 'mds'>, RegExp][] = [
  ['jsonl', /\.(jsonl|ndjson)(\.gz|\.zst)?$/i],
  ['parquet', /\.parquet$/i],
  ['text', /\.(txt|text|md)$/i],
];
const SPLIT_NAMES = ['train', 'validation', 'valid', 'val', 'dev', 'test', 'eval'];

/**
 * @param format what to take of a folder that holds several; by the names of the files without it
 * @throws file_missing, data_empty where there is nothing to convert, config_invalid where the format is not plain
 */
export function findInputs(path: string, format?: InputFormat): Inputs {
  const files = statOf(path).isDirectory() ? walk(path) : [path];
  if (isMdsDataset(path))
    return { format: 'mds', splits: [{ name: '', files: [describe(join(path, 'index.json'))] }] };
  const mine = files.filter((each) => (format ? matches(each, format) : formatOfFile(each) !== undefined));
  const formats = [...new Set(mine.map((each) => formatOfFile(each)))];
  if (mine.length === 0) {
    const wanted = format ?? '.jsonl (.gz, .zst), .parquet, .txt, .md';
    throw new DabarexError(
      'data_empty',
      `${path} holds nothing to convert: no ${wanted}. Give another folder.`,
      { path },
    );
  }
  if (formats.length > 1 && !format) {
    const message = `${path} holds files of several formats: ${formats.join(', ')}. Say which to convert with --format.`;
    throw new DabarexError('config_invalid', message, { path });
  }
  return { format: format ?? formats[0]!, splits: bySplit(path, mine) };
}

function bySplit(root: string, files: readonly string[]): InputSplit[] {
  const splits = new Map<string, string[]>();
  for (const file of files) {
    const name = splitOf(relative(root, file));
    splits.set(name, [...(splits.get(name) ?? []), file]);
  }
  // What names no split beside files that do is for training, as Hugging Face takes it.
  const rest = splits.size > 1 ? splits.get('') : undefined;
  if (rest) {
    splits.delete('');
    splits.set('train', [...(splits.get('train') ?? []), ...rest].sort());
  }
  return [...splits.keys()].sort().map((name) => ({ name, files: splits.get(name)!.map(describe) }));
}

function splitOf(path: string): string {
  const stem = basename(path).replace(/(\.(jsonl|ndjson|parquet|txt|text|md|gz|zst))+$/i, '');
  const [, numbered] = /^(.+?)-\d{5}-of-\d{5}(-[0-9a-f]+)?$/.exec(stem) ?? [];
  if (numbered && /^[\w.]+$/.test(numbered)) return numbered;
  if (SPLIT_NAMES.includes(stem.toLowerCase())) return stem.toLowerCase();
  const folder = basename(dirname(path)).toLowerCase();
  return SPLIT_NAMES.includes(folder) ? folder : '';
}

/** By its name. */
export function formatOfFile(path: string): Exclude<InputFormat, 'mds'> | undefined {
  return FORMATS.find(([, pattern]) => pattern.test(path))?.[0];
}

function matches(path: string, format: InputFormat): boolean {
  return formatOfFile(path) === format;
}

function walk(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile() && !each.name.startsWith('.'))
      .map((each) => join(each.parentPath, each.name))
      .sort();
  } catch (error) {
    throw fileError(error, folder);
  }
}

function describe(path: string): InputFile {
  const { size, mtimeMs } = statOf(path);
  return { path, sizeBytes: size, modifiedMs: mtimeMs };
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch (error) {
    throw fileError(error, path);
  }
}
