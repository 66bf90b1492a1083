/** What `dabarex data inspect` prints: of MDS data sets, of text files, and as JSON. */
import { inspect } from 'node:util';
import type { TextInspection } from '../../../prepare/index.ts';
import type {
  ColumnReport,
  DuplicateReport,
  Fetched,
  Inspection,
  TokenReport,
} from '../../../stream/index.ts';
import type { Tokenizer } from '../../../tokenizer/index.ts';
import { formatBytes, formatCount, formatTable } from '../../output.ts';

const SHOWN_CHARACTERS = 300;
const SHOWN_TOKENS = 60;

/** An inspection as the command prints it with --json. */
export function inspectionJson(
  found: Inspection,
  tokenizer: Tokenizer | undefined,
  fetched: Fetched | undefined,
) {
  const columns = found.columns.map(({ tokens, ...column }) => ({
    ...column,
    ...(tokens && { tokens: tokensJson(tokens, tokenizer) }),
  }));
  const samples = found.samples.map(({ index, values }) => ({
    index,
    values: valuesJson(values, tokenizer),
  }));
  return { ...found, columns, samples, ...(fetched && { fetched }) };
}

/** As {@link inspectionJson}, of text files. */
export function textInspectionJson(found: TextInspection, tokenizer: Tokenizer | undefined) {
  const { tokens, ...rest } = found;
  const samples = found.samples.map(({ where, values }) => ({
    where,
    values: valuesJson(values, undefined),
  }));
  const fields = found.fields.map(({ name, types }) => ({
    name,
    types: Object.entries(types).map(([type, rows]) => ({ type, rows })),
  }));
  return { ...rest, fields, samples, ...(tokens && { tokens: tokensJson(tokens, tokenizer) }) };
}

function valuesJson(values: Readonly<Record<string, unknown>>, tokenizer: Tokenizer | undefined) {
  return Object.entries(values).map(([name, value]) => ({ name, value: shown(value, tokenizer) }));
}

function tokensJson(tokens: TokenReport, tokenizer: Tokenizer | undefined) {
  return { ...tokens, top: tokens.top.map((each) => ({ ...each, ...textOf(each.id, tokenizer) })) };
}

function textOf(id: number, tokenizer: Tokenizer | undefined): { text?: string } {
  return tokenizer && id < tokenizer.vocabSize ? { text: tokenizer.decode([id]) } : {};
}

/** For people. */
export function renderInspection(
  found: Inspection,
  tokenizer: Tokenizer | undefined,
  fetched: Fetched | undefined,
): string {
  const { dir, numSamples, numShards, shards, rawBytes, fileBytes, compression } = found;
  const size = compression
    ? `${formatBytes(fileBytes)} (${compression}), unpacked ${formatBytes(rawBytes)}`
    : formatBytes(fileBytes);
  const read = shards.length < numShards ? `; ${formatCount(shards.length)} of the shards are read here` : '';
  const parts = [
    `${dir}: ${formatCount(numSamples)} samples in ${formatCount(numShards)} shards, ${size}${read}`,
    ...(fetched ? [renderFetched(fetched)] : []),
    renderColumns(found.columns),
    ...found.columns.flatMap(({ name, tokens }) => (tokens ? [renderTokens(name, tokens, tokenizer)] : [])),
    ...found.samples.map(({ index, values }) =>
      renderSample(`sample ${formatCount(index)}`, values, tokenizer),
    ),
    renderDuplicates(found.duplicates, 'samples'),
    renderHealth(found),
  ];
  return printable(parts.join('\n\n'));
}

function renderFetched({ cacheDir, numFiles, sizeBytes, numKept }: Fetched): string {
  return `fetched: ${formatCount(numFiles)} files, ${formatBytes(sizeBytes)}; ${formatCount(numKept)} were in the cache, ${cacheDir}`;
}

/** For people. */
export function renderTexts(found: TextInspection, tokenizer: Tokenizer | undefined): string {
  const { files, numRows, textField, textBytes } = found;
  const sizeBytes = files.reduce((sum, each) => sum + each.sizeBytes, 0);
  const without = numRows - textBytes.count;
  const texts =
    textBytes.count === 0
      ? `no row has a text "${textField}": name another with --text-field`
      : `${textField}: ${formatCount(textBytes.min)} to ${formatCount(textBytes.max)} bytes, ${formatCount(textBytes.mean)} on average, ` +
        `${formatBytes(textBytes.total)} in all${without > 0 ? `; ${formatCount(without)} rows have none` : ''}`;
  const damage = files.flatMap(({ problem }) => (problem === undefined ? [] : [`  ${problem}`]));
  const parts = [
    `${formatCount(numRows)} rows in ${formatCount(files.length)} files, ${formatBytes(sizeBytes)}`,
    renderFields(found),
    texts,
    ...(found.tokens ? [renderTokens(textField, found.tokens, tokenizer)] : []),
    ...found.samples.map(({ where, values }) => renderSample(where, values, undefined)),
    renderDuplicates(found.duplicates, 'rows'),
    damage.length === 0
      ? 'every row was read'
      : ['damage: reading ended there, other files were read', ...damage].join('\n'),
  ];
  return printable(parts.join('\n\n'));
}

function renderFields({ fields, numRows }: TextInspection): string {
  const rows = fields.map(({ name, types }) => {
    const present = Object.values(types).reduce((sum, count) => sum + count, 0);
    const kinds = Object.entries(types).map(([type, count]) =>
      count === present ? type : `${type} (${formatCount(count)})`,
    );
    return [name, kinds.join(', '), formatCount(present), formatCount(numRows - present)];
  });
  return formatTable(['field', 'type', 'rows', 'missing'], rows);
}

/** Data may hold what a terminal would obey. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function renderColumns(columns: readonly ColumnReport[]): string {
  const rows = columns.map(({ name, encoding, bytes }) => [
    name,
    encoding,
    formatCount(bytes.min),
    formatCount(bytes.mean),
    formatCount(bytes.max),
    formatBytes(bytes.total),
  ]);
  return formatTable(['column', 'encoding', 'min bytes', 'mean bytes', 'max bytes', 'total'], rows);
}

function renderTokens(name: string, tokens: TokenReport, tokenizer: Tokenizer | undefined): string {
  const { lengths, distinct, minId, maxId, top, idsByFrequency } = tokens;
  const head =
    `${name}: ${formatCount(lengths.total)} tokens, ${formatCount(distinct)} different ids from ${minId} to ${formatCount(maxId)}; ` +
    `a sample has ${formatCount(lengths.min)} to ${formatCount(lengths.max)}, ${formatCount(lengths.mean)} on average`;
  const total = Math.max(1, lengths.total);
  const rows = top.map(({ id, count: occurrences }) => [
    String(id),
    formatCount(occurrences),
    `${((100 * occurrences) / total).toFixed(2)} %`,
    bar(occurrences / (top[0]?.count ?? 1)),
    JSON.stringify(textOf(id, tokenizer).text ?? '').replace(/^""$/, ''),
  ]);
  const buckets = idsByFrequency.map((ids, k) => [
    k === 0 ? 'once' : k === 1 ? '2 to 9' : `${formatCount(10 ** (k - 1))} to ${formatCount(10 ** k - 1)}`,
    formatCount(ids),
  ]);
  return [
    head,
    formatTable(['token', 'count', 'share', '', 'text'], rows),
    formatTable(['occurs', 'ids'], buckets),
  ].join('\n\n');
}

function bar(fraction: number): string {
  return '█'.repeat(Math.round(20 * fraction)) || '▏';
}

function renderSample(
  head: string,
  values: Readonly<Record<string, unknown>>,
  tokenizer: Tokenizer | undefined,
): string {
  const lines = Object.entries(values).map(([name, value]) => {
    const text = shown(value, tokenizer);
    const isText = typeof value === 'string' || (value instanceof Int32Array && tokenizer);
    return `  ${name}: ${isText ? JSON.stringify(text) : text}`;
  });
  return [head, ...lines].join('\n');
}

/** A value as text, cut: tokens decoded where there is a tokenizer, bytes and arrays by their beginning. */
function shown(value: unknown, tokenizer: Tokenizer | undefined): string {
  if (value instanceof Int32Array && tokenizer) {
    const ids = value.subarray(0, SHOWN_TOKENS).filter((id) => id >= 0 && id < tokenizer.vocabSize);
    return `${tokenizer.decode(ids)}${value.length > SHOWN_TOKENS ? '…' : ''}`;
  }
  const options = {
    breakLength: Number.POSITIVE_INFINITY,
    depth: 4,
    maxArrayLength: 20,
    compact: true,
  } as const;
  const whole = typeof value === 'string' ? value : inspect(value, options);
  return whole.length > SHOWN_CHARACTERS ? `${whole.slice(0, SHOWN_CHARACTERS)}…` : whole;
}

function renderDuplicates({ column, compared, duplicates, groups }: DuplicateReport, what: string): string {
  const values = column === null ? what : `values of "${column}"`;
  const head = `exact duplicates: ${formatCount(duplicates)} of ${formatCount(compared)} ${values}`;
  const lines = groups.map((each) => `  ${what} ${each.map(formatCount).join(' = ')}`);
  return [head, ...lines].join('\n');
}

function renderHealth({ shards, numProblems }: Inspection): string {
  if (numProblems === 0) {
    const hashes = [...new Set(shards.flatMap((each) => each.hashes))];
    const checked =
      hashes.length > 0 ? `sizes, ${hashes.join(', ')}, offsets` : 'sizes and offsets (there are no digests)';
    return `all ${formatCount(shards.length)} shards are whole: ${checked} and every sample were checked`;
  }
  const lines = shards.flatMap(({ basename, problems }) => problems.map((each) => `  ${basename}: ${each}`));
  return [`damage: ${formatCount(numProblems)} problems`, ...lines].join('\n');
}
