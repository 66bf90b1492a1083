/**
 * A sample of the training documents over the domains, for the tokenizer to learn from. Memory holds about twice the sample, however
 * large the corpus is.
 */
import { join } from 'node:path';
import { DabarexError } from '../base/index.ts';
import type { CorpusManifest } from './corpus-report.ts';
import { type Document, readDocuments } from './documents.ts';
import { trustedManifest } from './manifest.ts';

export interface TextSampleOptions {
  readonly documentsDir: string;
  /** UTF-8 bytes wanted in all; a domain that has less than its share gives all it has */
  readonly trainBytes: number;
  /** relative share of each domain; a domain not named gets none. Default: by size. */
  readonly weights?: Readonly<Record<string, number>>;
}

/**
 * Texts of each domain in the order of their hashes until its share is reached, so the sample is the same wherever and
 * however often it is drawn.
 * @throws documents_invalid where the folder holds no finished corpus; config_invalid for weights of no known domain
 */
export async function sampleTexts(options: TextSampleOptions): Promise<string[]> {
  const { documentsDir, trainBytes } = options;
  const manifest = finishedCorpus(documentsDir);
  const shares = sharesOf(manifest, options.weights);
  const texts: string[] = [];
  for (const [domain, share] of Object.entries(shares)) {
    const drawn = new SmallestHashes(trainBytes * share);
    const path = join(documentsDir, 'train', `${domain}.jsonl`);
    for await (const document of readDocuments(path)) drawn.add(document);
    for (const text of drawn.texts()) texts.push(text);
  }
  return texts;
}

/** The manifest of a finished corpus. @throws documents_invalid */
export function finishedCorpus(documentsDir: string): CorpusManifest {
  const manifest = trustedManifest<CorpusManifest>(documentsDir);
  if (manifest) return manifest;
  throw new DabarexError(
    'documents_invalid',
    `${documentsDir} holds no finished corpus: its manifest.json is missing or its files are not those it lists. Prepare the corpus again.`,
    { documentsDir },
  );
}

/** Shares that sum to 1. */
function sharesOf(
  manifest: CorpusManifest,
  weights: Readonly<Record<string, number>> | undefined,
): Record<string, number> {
  const sizes = Object.entries(manifest.domains).map(([name, domain]) => [name, domain.train.bytes] as const);
  const chosen = sizes.map(([name, bytes]) => [name, weights ? (weights[name] ?? 0) : bytes] as const);
  const total = chosen.reduce((sum, [, weight]) => sum + weight, 0);
  if (!(total > 0)) {
    const domains = sizes.map(([name]) => name).join(', ');
    throw new DabarexError(
      'config_invalid',
      `The weights ${JSON.stringify(weights)} give no domain of the corpus (${domains}) a share. Name at least one of them.`,
      { domains },
    );
  }
  return Object.fromEntries(chosen.map(([name, weight]) => [name, weight / total]));
}

interface Drawn {
  readonly id: string;
  readonly text: string;
  readonly bytes: number;
}

/** Of the documents it is shown, those with the smallest hashes that come to a number of bytes. */
class SmallestHashes {
  private readonly wantedBytes: number;
  private kept: Drawn[] = [];
  private keptBytes = 0;
  /** the largest hash that may be among them, as far as is known */
  private largest: string | undefined;

  constructor(wantedBytes: number) {
    this.wantedBytes = wantedBytes;
  }

  add({ id, text }: Document): void {
    if (this.largest !== undefined && id > this.largest) return;
    const bytes = Buffer.byteLength(text);
    this.kept.push({ id, text, bytes });
    this.keptBytes += bytes;
    if (this.keptBytes >= 2 * this.wantedBytes) this.cut();
  }

  /** In the order of their hashes. */
  texts(): string[] {
    this.cut();
    return this.kept.map(({ text }) => text);
  }

  private cut(): void {
    this.kept.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
    let bytes = 0;
    const end = this.kept.findIndex((each) => {
      if (bytes >= this.wantedBytes) return true;
      bytes += each.bytes;
      return false;
    });
    if (end >= 0) this.kept.length = end;
    this.keptBytes = bytes;
    if (bytes >= this.wantedBytes) this.largest = this.kept.at(-1)?.id ?? '';
  }
}
