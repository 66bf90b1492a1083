/**
 * Raw text to clean documents: fetch, decode, extract, filter, drop exact duplicates, split off held-out documents.
 * Result: `{train,heldout}/DOMAIN.jsonl`, the held-out text alone as `heldout/DOMAIN.txt`, and `manifest.json`.
 * One domain is in memory at a time.
 */
import { join } from 'node:path';
import { DabarexError, type OnProgress, writeFileAtomic, writeFilePartsAtomic } from '../base/index.ts';
import {
  type FetchedSource,
  type FetchOptions,
  fetchSource,
  globMatcher,
  type NpmOptions,
  parseSourceUrl,
  type RemoteOptions,
  type SourceFile,
} from '../storage/index.ts';
import type { PrepareConfig, SourceConfig } from './config.ts';
import { decodeText } from './decode.ts';
import { type Document, documentLines, identified } from './documents.ts';
import { extractTexts } from './extract.ts';
import { REJECT_REASONS, type RejectReason, rejectDocument, rejectFile, withoutLicence } from './filters.ts';
import { describeFile, type ManifestFile, stageKey } from './manifest.ts';
import { paragraphBlocks, SPLITS, type Split, splitDocuments } from './split.ts';
import { makeStage, type StageOptions, stageFolder } from './stage-folder.ts';

/** Raised whenever the same config and inputs give other documents than before. */
const CODE_VERSION = 1;

export interface PrepareOptions extends StageOptions {
  /** the documents go to `dir/documents`, or by key to a folder in it */
  readonly dir: string;
  readonly cacheDir: string;
  readonly baseDir?: string;
  readonly npm?: NpmOptions;
  /** for `s3:` sources */
  readonly store?: RemoteOptions;
  readonly onProgress?: OnProgress;
}

export interface SplitCount {
  documents: number;
  /** UTF-8 bytes of the documents' text */
  bytes: number;
}

export interface SourceReport {
  readonly url: string;
  readonly integrity: string;
  readonly files: number;
  readonly latin1Files: number;
  readonly rejects: Record<RejectReason, number>;
  readonly train: SplitCount;
  readonly heldout: SplitCount;
}

export interface DomainReport {
  readonly train: SplitCount;
  readonly heldout: SplitCount;
  readonly sources: readonly SourceReport[];
}

export interface CorpusManifest {
  readonly key: string;
  readonly codeVersion: number;
  readonly config: PrepareConfig;
  readonly domains: Readonly<Record<string, DomainReport>>;
  readonly files: readonly ManifestFile[];
}

export interface PreparedCorpus {
  readonly documentsDir: string;
  readonly manifest: CorpusManifest;
  /** true where a finished result of the same config and inputs was found and kept */
  readonly reused: boolean;
}

/**
 * Prepares the corpus, or finds it prepared. The same config and inputs give the same bytes. The result's key is of the content of the
 * sources, so a file that changes gives another one.
 * @throws data_empty where a domain keeps nothing; what fetchSource throws; what {@link makeStage} throws
 */
export async function prepareCorpus(config: PrepareConfig, options: PrepareOptions): Promise<PreparedCorpus> {
  const opened = await openUnpinned(config, options);
  const integrities = placesOf(config).map(({ source }) => source.integrity ?? opened.get(source)!.integrity);
  const key = stageKey({ codeVersion: CODE_VERSION, config, integrities });
  const documentsDir = stageFolder(join(options.dir, 'documents'), key, options);
  const made = await makeStage<CorpusManifest>(documentsDir, key, options, async (folder) => ({
    key,
    codeVersion: CODE_VERSION,
    config,
    ...(await writeCorpus(config, folder, opened, options)),
  }));
  return { documentsDir, ...made };
}

async function writeCorpus(
  config: PrepareConfig,
  folder: string,
  opened: Map<SourceConfig, FetchedSource>,
  options: PrepareOptions,
): Promise<Pick<CorpusManifest, 'domains' | 'files'>> {
  const seen = new Set<string>();
  const domains: Record<string, DomainReport> = {};
  const files: ManifestFile[] = [];
  const names = Object.keys(config.domains);
  const places = placesOf(config);
  for (const [index, name] of names.entries()) {
    options.onProgress?.({ stage: `prepare ${name}`, done: index, total: names.length, unit: 'domains' });
    const parts: Record<Split, Document[]> = { train: [], heldout: [] };
    const sources: SourceReport[] = [];
    for (const place of places.filter(({ domain }) => domain === name)) {
      const report = await explained(place, async () => {
        const fetched = opened.get(place.source) ?? (await fetchSource(place.source, options));
        return readSource(place.source, fetched, { config, seen, parts, signal: options.signal });
      });
      sources.push(report);
      opened.delete(place.source);
    }
    domains[name] = { train: count(parts.train), heldout: count(parts.heldout), sources };
    requireText(name, domains[name]);
    files.push(...writeDomain(folder, name, parts));
  }
  options.onProgress?.({ stage: 'prepare', done: names.length, total: names.length, unit: 'domains' });
  return { domains, files };
}

/** A source and where the recipe has it. */
interface SourcePlace {
  readonly source: SourceConfig;
  readonly domain: string;
  readonly index: number;
}

function placesOf(config: PrepareConfig): SourcePlace[] {
  return Object.entries(config.domains).flatMap(([domain, { sources }]) =>
    sources.map((source, index) => ({ source, domain, index })),
  );
}

/** Sources without a pin must be looked at before one can say whether the result is up to date. */
async function openUnpinned(
  config: PrepareConfig,
  options: FetchOptions & StageOptions,
): Promise<Map<SourceConfig, FetchedSource>> {
  const opened = new Map<SourceConfig, FetchedSource>();
  for (const place of placesOf(config)) {
    const { source } = place;
    if (source.integrity) continue;
    if (options.onlyFinished && parseSourceUrl(source.url).kind !== 'file') {
      throw new DabarexError(
        'documents_invalid',
        `${source.url} is not pinned: only fetching it would tell what it is.`,
      );
    }
    opened.set(source, await explained(place, () => fetchSource(source, options)));
  }
  return opened;
}

/** Adds to the error of a local text that is not there how another is given. */
async function explained<T>({ source, domain, index }: SourcePlace, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isMissing = error instanceof DabarexError && error.code === 'source_not_found';
    if (!isMissing || parseSourceUrl(source.url).kind !== 'file') throw error;
    const key = `data.domains.${domain}.sources.${index}.url`;
    const message = `${error.message} To give a text of yours: --set ${key}=file:PATH.`;
    throw new DabarexError(error.code, message, { ...error.fields, key }, { cause: error });
  }
}

interface Sink {
  readonly config: PrepareConfig;
  readonly seen: Set<string>;
  readonly parts: Record<Split, Document[]>;
  readonly signal?: AbortSignal;
}

async function readSource(source: SourceConfig, fetched: FetchedSource, sink: Sink): Promise<SourceReport> {
  const rejects = Object.fromEntries(REJECT_REASONS.map((each) => [each, 0])) as Record<RejectReason, number>;
  const kept: Document[] = [];
  let numFiles = 0;
  let latin1Files = 0;
  for await (const file of included(source, fetched.files)) {
    sink.signal?.throwIfAborted();
    numFiles++;
    const { text, encoding } = decodeText(file.bytes);
    if (encoding === 'latin1') latin1Files++;
    keepTexts(source, file.path, text, { ...sink, rejects, kept });
  }
  const limited = withinLimit(kept, source.limitBytes);
  rejects.over_limit = kept.length - limited.length;
  const isLoneText = limited.length === 1 && source.format === 'text' && sink.config.heldOut.kind === 'hash';
  const documents = isLoneText ? blocksOf(limited[0]!) : limited;
  const parts = splitDocuments(documents, sink.config.heldOut, identified);
  for (const split of SPLITS) for (const each of parts[split]) sink.parts[split].push(each);
  return {
    url: source.url,
    integrity: fetched.integrity,
    files: numFiles,
    latin1Files,
    rejects,
    train: count(parts.train),
    heldout: count(parts.heldout),
  };
}

async function* included(source: SourceConfig, files: AsyncIterable<SourceFile>): AsyncGenerator<SourceFile> {
  const excluded = source.exclude.map(globMatcher);
  for await (const file of files) if (!excluded.some((matches) => matches(file.path))) yield file;
}

function keepTexts(
  source: SourceConfig,
  path: string,
  text: string,
  sink: Sink & { rejects: Record<RejectReason, number>; kept: Document[] },
): void {
  const { filters } = sink.config;
  const reason = rejectFile(source.format, text, filters);
  if (reason) {
    sink.rejects[reason]++;
    return;
  }
  const clean = source.format === 'code' && filters.licences ? withoutLicence(text) : text;
  for (const each of extractTexts(source.format, clean)) {
    const document = identified({ source: source.url, path, text: each });
    const isDuplicate = filters.duplicates && sink.seen.has(document.id);
    const why = rejectDocument(each, filters) ?? (isDuplicate ? 'duplicate' : undefined);
    if (why) sink.rejects[why]++;
    else {
      sink.seen.add(document.id);
      sink.kept.push(document);
    }
  }
}

/** The documents with the smallest hashes up to `limitBytes`, in their old order: a sample that does not hang on order. */
function withinLimit(documents: Document[], limitBytes: number | undefined): Document[] {
  if (limitBytes === undefined) return documents;
  const chosen = new Set<Document>();
  let bytes = 0;
  for (const each of [...documents].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    if (bytes >= limitBytes) break;
    chosen.add(each);
    bytes += Buffer.byteLength(each.text);
  }
  return documents.filter((each) => chosen.has(each));
}

function blocksOf(document: Document): Document[] {
  return paragraphBlocks(document.text).map((text) => identified({ ...document, text }));
}

function count(documents: readonly Document[]): SplitCount {
  return {
    documents: documents.length,
    bytes: documents.reduce((sum, each) => sum + Buffer.byteLength(each.text), 0),
  };
}

function requireText(name: string, report: DomainReport): void {
  if (report.train.bytes > 0 && report.heldout.bytes > 0) return;
  const rejects = report.sources.map((each) => `${each.url}: ${JSON.stringify(each.rejects)}`).join('; ');
  throw new DabarexError(
    'data_empty',
    `The domain "${name}" keeps ${report.train.documents} documents to train on and ${report.heldout.documents} held out; both need at least one. ` +
      `Rejected: ${rejects}. Add text, or loosen data.filters.`,
    { domain: name, train: report.train.documents, heldout: report.heldout.documents },
  );
}

function writeDomain(documentsDir: string, name: string, parts: Record<Split, Document[]>): ManifestFile[] {
  const files = SPLITS.map((split) => {
    const path = `${split}/${name}.jsonl`;
    writeFilePartsAtomic(join(documentsDir, path), documentLines(parts[split]));
    return describeFile(documentsDir, path);
  });
  const text = `heldout/${name}.txt`;
  writeFileAtomic(join(documentsDir, text), parts.heldout.map((each) => each.text).join(''));
  return [...files, describeFile(documentsDir, text)];
}
