/**
 * Raw text to clean documents: fetch, decode, extract, filter, drop exact duplicates, split off held-out documents.
 * Result: `DIR/documents/{train,heldout}/DOMAIN.jsonl`, the held-out text alone as `heldout/DOMAIN.txt`, and `manifest.json` last.
 * One domain is in memory at a time.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError, type OnProgress, writeFileAtomic, writeFilePartsAtomic } from '../base/index.ts';
import {
  type FetchedSource,
  type FetchOptions,
  fetchSource,
  globMatcher,
  type NpmOptions,
  type SourceFile,
} from '../storage/index.ts';
import type { PrepareConfig, SourceConfig } from './config.ts';
import { decodeText } from './decode.ts';
import { type Document, documentLines, identified } from './documents.ts';
import { extractTexts } from './extract.ts';
import { REJECT_REASONS, type RejectReason, rejectDocument, rejectFile, withoutLicence } from './filters.ts';
import { describeFile, type ManifestFile, stageKey, trustedManifest, writeManifest } from './manifest.ts';
import { paragraphBlocks, SPLITS, type Split, splitDocuments } from './split.ts';

/** Raised whenever the same config and inputs give other documents than before. */
const CODE_VERSION = 1;

export interface PrepareOptions {
  /** the documents go to `dir/documents` */
  readonly dir: string;
  readonly cacheDir: string;
  readonly baseDir?: string;
  readonly npm?: NpmOptions;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly warn?: (message: string) => void;
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
 * Prepares the corpus, or finds it prepared. The same config and inputs give the same bytes.
 * @throws data_empty where a domain keeps nothing; what fetchSource throws
 */
export async function prepareCorpus(config: PrepareConfig, options: PrepareOptions): Promise<PreparedCorpus> {
  const documentsDir = join(options.dir, 'documents');
  const opened = await openUnpinned(config, options);
  const integrities = sourcesOf(config).map((each) => each.integrity ?? opened.get(each)!.integrity);
  const key = stageKey({ codeVersion: CODE_VERSION, config, integrities });
  const finished = trustedManifest<CorpusManifest>(documentsDir, key);
  if (finished) return { documentsDir, manifest: finished, reused: true };

  rmSync(join(documentsDir, 'manifest.json'), { force: true });
  const seen = new Set<string>();
  const domains: Record<string, DomainReport> = {};
  const files: ManifestFile[] = [];
  const names = Object.keys(config.domains);
  for (const [index, name] of names.entries()) {
    options.onProgress?.({ stage: `prepare ${name}`, done: index, total: names.length, unit: 'domains' });
    const parts: Record<Split, Document[]> = { train: [], heldout: [] };
    const sources: SourceReport[] = [];
    for (const source of config.domains[name]!.sources) {
      const fetched = opened.get(source) ?? (await fetchSource(source, options));
      sources.push(await readSource(source, fetched, { config, seen, parts, signal: options.signal }));
      opened.delete(source);
    }
    domains[name] = { train: count(parts.train), heldout: count(parts.heldout), sources };
    requireText(name, domains[name]);
    files.push(...writeDomain(documentsDir, name, parts));
  }
  options.onProgress?.({ stage: 'prepare', done: names.length, total: names.length, unit: 'domains' });
  const manifest: CorpusManifest = { key, codeVersion: CODE_VERSION, config, domains, files };
  writeManifest(documentsDir, manifest);
  return { documentsDir, manifest, reused: false };
}

function sourcesOf(config: PrepareConfig): SourceConfig[] {
  return Object.values(config.domains).flatMap((domain) => domain.sources);
}

/** Sources without a pin must be looked at before one can say whether the result is up to date. */
async function openUnpinned(
  config: PrepareConfig,
  options: FetchOptions,
): Promise<Map<SourceConfig, FetchedSource>> {
  const opened = new Map<SourceConfig, FetchedSource>();
  for (const source of sourcesOf(config)) {
    if (!source.integrity) opened.set(source, await fetchSource(source, options));
  }
  return opened;
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
