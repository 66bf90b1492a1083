/** A sample of the training documents over the domains, for the tokenizer to learn from. */
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
    let bytes = 0;
    for (const document of await byHash(join(documentsDir, 'train', `${domain}.jsonl`))) {
      if (bytes >= trainBytes * share) break;
      texts.push(document.text);
      bytes += Buffer.byteLength(document.text);
    }
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

async function byHash(path: string): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const each of readDocuments(path)) documents.push(each);
  return documents.sort((a, b) => (a.id < b.id ? -1 : 1));
}
