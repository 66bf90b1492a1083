/**
 * What asks a running job for another mix of domains: `control/mix.yaml` in the run directory, with relative weights
 * (`weights: { prose: 0.7, code: 0.3 }`) or `weights: curriculum`. Anyone may write it, by hand too; the job looks before
 * each step. A request counts once: what is in force is what the events say.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { DabarexError, parseConfig, writeFileAtomic } from '../base/index.ts';

const MIX_FILE = join('control', 'mix.yaml');
const MAX_BYTES = 65_536;

/** `curriculum`: no longer another mix than that of the recipe. */
export type RequestedWeights = Readonly<Record<string, number>> | 'curriculum';

const requestSchema = z.strictObject({
  weights: z.union([z.literal('curriculum'), z.record(z.string(), z.number().nonnegative())]),
});

export interface MixRequest {
  /** of the file's bytes, to know it again */
  readonly digest: string;
  /** what the file asks for, or why it asks for nothing */
  readonly weights: RequestedWeights | DabarexError;
}

/** Where the request stands in a run. */
export function mixRequestPath(runPath: string): string {
  return join(runPath, MIX_FILE);
}

/** Writes the request of a run, at once and whole. @param domains that the data has @throws config_invalid for weights of none */
export function writeMixRequest(
  runPath: string,
  weights: RequestedWeights,
  domains: readonly string[],
): string {
  const path = mixRequestPath(runPath);
  requireWeights(weights, domains, 'the mix');
  mkdirSync(dirname(path), { recursive: true });
  writeFileAtomic(path, stringify({ weights }));
  return path;
}

/** Looks for requests; cheap enough to look before each step. */
export class MixRequestReader {
  private readonly path: string;
  private readonly domains: readonly string[];
  /** size, time and number of the file when it was read last */
  private seen = '';

  constructor(runPath: string, domains: readonly string[]) {
    this.path = mixRequestPath(runPath);
    this.domains = domains;
  }

  /** The request, where the file is another than at the last look; an empty one is still being written. */
  look(): MixRequest | undefined {
    const stat = statSync(this.path, { throwIfNoEntry: false });
    const seen = stat ? `${stat.size} ${stat.mtimeMs} ${stat.ino}` : '';
    if (seen === this.seen) return undefined;
    this.seen = seen;
    if (!stat || stat.size === 0) return undefined;
    try {
      if (stat.size > MAX_BYTES || !stat.isFile()) {
        const error = invalid(this.path, `is no file of at most ${MAX_BYTES} bytes`);
        return { digest: `size ${stat.size}`, weights: error };
      }
      return this.read(readFileSync(this.path));
    } catch (error) {
      // Removed, or made unreadable, between the two calls.
      return { digest: seen, weights: invalid(this.path, `cannot be read: ${(error as Error).message}`) };
    }
  }

  private read(bytes: Buffer): MixRequest {
    const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      const { weights } = parseConfig(requestSchema, parse(text, { logLevel: 'error' }), this.path);
      requireWeights(weights, this.domains, this.path);
      return { digest, weights };
    } catch (error) {
      if (error instanceof DabarexError) return { digest, weights: error };
      return {
        digest,
        weights: invalid(this.path, `is no YAML: ${(error as Error).message.split('\n')[0]}`),
      };
    }
  }
}

function requireWeights(weights: RequestedWeights, domains: readonly string[], where: string): void {
  if (weights === 'curriculum') return;
  const unknown = Object.keys(weights).find((name) => !domains.includes(name));
  if (unknown !== undefined) {
    throw invalid(
      where,
      `names the domain "${unknown}", which the data does not have; it has ${domains.join(', ')}`,
    );
  }
  const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
  if (!(sum > 0 && Number.isFinite(sum))) {
    throw invalid(where, `has weights that sum to ${sum}; they must be at least 0 and not all 0`);
  }
}

function invalid(where: string, problem: string): DabarexError {
  return new DabarexError(
    'config_invalid',
    `${where} ${problem}. Write for example "weights: { ${'prose: 0.7, code: 0.3'} }" or "weights: curriculum".`,
    { where },
  );
}
