/**
 * The sources of a recipe, opened: what each holds by hash, and the units in which it is read. A unit is a whole package,
 * archive or download, or local files of a folder that come to about {@link UNIT_BYTES}; any thread or task may read any unit.
 * Limit: a package, archive or download is in memory, packed, while it is read.
 */
import { DabarexError } from '../../base/index.ts';
import {
  type FetchOptions,
  fetchSource,
  fileIntegrity,
  folderIntegrity,
  globMatcher,
  hashMismatch,
  type LocalFile,
  listLocalFiles,
  parseSourceUrl,
  type SourceUrl,
} from '../../storage/index.ts';
import type { PrepareConfig } from '../config.ts';
import { stageKey } from '../manifest.ts';
import { type Format, ROW_FORMATS, type SourceConfig } from '../source-config.ts';
import { MAX_DOCUMENT_BYTES } from './shard-file.ts';

/** Raised when the same source of a format gives other documents than before; 1 for those not named. */
const READ_VERSIONS: Partial<Record<Format, number>> = { jsonl: 2 };
const UNIT_BYTES = 32 << 20;
const ARCHIVE = /\.(tar|tgz|tar\.gz)$/;

/** A source and where the recipe has it. */
export interface SourcePlace {
  readonly source: SourceConfig;
  readonly domain: string;
  readonly index: number;
}

export interface UnitFile extends LocalFile {
  readonly integrity: string;
}

/** What one thread reads in one go. */
export interface ReadUnit {
  readonly source: SourceConfig;
  /** of the whole source */
  readonly integrity: string;
  /** absent: the source as a whole */
  readonly files?: readonly UnitFile[];
}

export interface OpenedSource extends SourcePlace {
  readonly integrity: string;
  readonly units: readonly ReadUnit[];
  /** the hash of all that its documents depend on */
  readonly key: string;
}

export interface OpenOptions extends FetchOptions {
  /** @throws documents_invalid rather than asking the network what a source holds */
  readonly onlyFinished?: boolean;
}

export function placesOf(config: PrepareConfig): SourcePlace[] {
  return Object.entries(config.domains).flatMap(([domain, { sources }]) =>
    sources.map((source, index) => ({ source, domain, index })),
  );
}

/**
 * Finds out what a source holds. One that is pinned and not local is not fetched for it.
 * @throws source_not_found and what else fetchSource throws
 */
export async function openSource(place: SourcePlace, options: OpenOptions): Promise<OpenedSource> {
  const { source } = place;
  const url = parseSourceUrl(source.url);
  const opened =
    url.kind === 'file' ? await openLocal(place, url, options) : await openRemote(source, url, options);
  const version = READ_VERSIONS[source.format] ?? 1;
  const key = stageKey({ version, source: readingOf(source), integrity: opened.integrity });
  return { ...place, ...opened, key };
}

/** What of a source's settings reading it depends on. */
function readingOf({ limitBytes: _, integrity: __, ...reading }: SourceConfig): object {
  return reading;
}

async function openRemote(
  source: SourceConfig,
  url: SourceUrl,
  options: OpenOptions,
): Promise<Pick<OpenedSource, 'integrity' | 'units'>> {
  if (source.integrity) return wholeSource(source, source.integrity);
  if (options.onlyFinished) {
    throw new DabarexError(
      'documents_invalid',
      `${url.url} is not pinned: only fetching it would tell what it is.`,
    );
  }
  return wholeSource(source, (await fetchSource(source, options)).integrity);
}

function wholeSource(source: SourceConfig, integrity: string): Pick<OpenedSource, 'integrity' | 'units'> {
  return { integrity, units: [{ source, integrity }] };
}

async function openLocal(
  place: SourcePlace,
  url: Extract<SourceUrl, { kind: 'file' }>,
  { baseDir, signal }: OpenOptions,
): Promise<Pick<OpenedSource, 'integrity' | 'units'>> {
  const { source } = place;
  const { isFolder, files } = explained(place, () => listLocalFiles(url, baseDir));
  const hashed: UnitFile[] = [];
  let bytes = 0;
  const isArchive = !isFolder && ARCHIVE.test(url.path);
  const isRows = ROW_FORMATS.some((format) => format === source.format);
  for (const each of files) {
    const isDocument = !isArchive && !isRows;
    if (isDocument && each.sizeBytes > MAX_DOCUMENT_BYTES) {
      throw documentTooLarge(source, each.path, each.sizeBytes);
    }
    hashed.push({ ...each, integrity: fileIntegrity(each.file) });
    bytes += each.sizeBytes;
    if (bytes < UNIT_BYTES) continue;
    bytes = 0;
    await new Promise(setImmediate);
    signal?.throwIfAborted();
  }
  if (isFolder && hashed.length === 0) throw noneMatches(url);
  const integrity = isFolder ? folderIntegrity(hashed) : pinnedForm(hashed[0]!, source.integrity);
  if (source.integrity && source.integrity !== integrity) {
    throw hashMismatch(source.url, source.integrity, integrity);
  }
  if (isArchive) return wholeSource(source, integrity);
  const excluded = source.exclude.map(globMatcher);
  const wanted = hashed.filter((each) => !excluded.some((matches) => matches(each.path)));
  return { integrity, units: grouped(wanted).map((each) => ({ source, integrity, files: each })) };
}

/** A file's hash by the algorithm of the pin, to be compared with it. */
function pinnedForm(file: UnitFile, pinned: string | undefined): string {
  return pinned?.startsWith('sha256-') ? fileIntegrity(file.file, 'sha256') : file.integrity;
}

function grouped(files: readonly UnitFile[]): UnitFile[][] {
  const groups: UnitFile[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const file of files) {
    if (bytes + file.sizeBytes > UNIT_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)!.push(file);
    bytes += file.sizeBytes;
  }
  return groups;
}

/** Adds to the error of a local text that is not there how another is given. */
function explained<T>({ domain, index }: SourcePlace, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DabarexError) || error.code !== 'source_not_found') throw error;
    const key = `data.domains.${domain}.sources.${index}.url`;
    const message = `${error.message} To give a text of yours: --set ${key}=file:PATH.`;
    throw new DabarexError(error.code, message, { ...error.fields, key }, { cause: error });
  }
}

function noneMatches({ url, glob }: Extract<SourceUrl, { kind: 'file' }>): DabarexError {
  const problem = glob ? `no file matches ${glob}` : 'the folder holds no file';
  return new DabarexError('source_not_found', `${url}: ${problem}. Check the path after "#" or "file:".`, {
    url,
  });
}

export function documentTooLarge(source: SourceConfig, path: string, sizeBytes: number): DabarexError {
  return new DabarexError(
    'source_too_large',
    `${source.url}: ${path} has ${sizeBytes} bytes, too many for one document of at most ${MAX_DOCUMENT_BYTES >> 20} MB. Split it into several files, or into rows of JSON Lines.`,
    { url: source.url, path, sizeBytes },
  );
}
