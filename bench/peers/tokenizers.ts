/**
 * Hugging Face's native `tokenizers` (npm, prebuilt) as a peer, in a process of its own, so that its number of threads can be
 * set. It is installed into a cache folder when first asked for; where it cannot be had there is no peer, and a line says so.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

const VERSION = '0.23.2';

interface Answer {
  readonly seconds: number;
  /** the ids of each text, when asked for */
  readonly ids?: readonly (readonly number[])[];
}

/** The peer with this tokenizer and these texts, or null where it cannot be had. */
export async function startTokenizers(
  tokenizerJson: string,
  texts: readonly string[],
  threads: number,
): Promise<TokenizersPeer | null> {
  const folder = join(
    process.env.DABAREX_HOME ?? join(homedir(), '.cache', 'dabarex'),
    'peers',
    `tokenizers-${VERSION}`,
  );
  const problem = existsSync(join(folder, 'node_modules', 'tokenizers')) ? null : install(folder);
  if (problem) {
    console.error(`npm tokenizers is not compared: ${problem}`);
    return null;
  }
  const peer = new TokenizersPeer(folder, threads);
  await peer.ask({ tokenizerJson, texts });
  await peer.rate(1); // its first time is not counted
  return peer;
}

class TokenizersPeer {
  readonly version = VERSION;
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;
  private readonly numThreads: number;

  constructor(folder: string, threads: number) {
    const script = join(import.meta.dirname, 'tokenizers_process.cjs');
    const env = {
      ...process.env,
      RAYON_NUM_THREADS: String(threads),
      TOKENIZERS_PARALLELISM: String(threads > 1),
    };
    this.numThreads = threads;
    this.child = spawn(process.execPath, [script, folder], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async ask(question: object): Promise<Answer> {
    this.child.stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error('tokenizers ended; what it said stands above');
    return JSON.parse(value) as Answer;
  }

  /** `work` a second of encoding all texts as one batch, by its own clock. */
  async rate(work: number): Promise<number> {
    return work / (await this.ask({ encode: true })).seconds;
  }

  /** @throws where its ids are others */
  async requireSame(expected: readonly Int32Array[]): Promise<void> {
    const { ids = [] } = await this.ask({ ids: true });
    expected.forEach((own, i) => {
      const same = own.length === ids[i]?.length && own.every((id, at) => id === ids[i]?.[at]);
      if (!same) throw new Error(`text ${i} has other ids in tokenizers on ${this.numThreads} threads`);
    });
  }

  close(): void {
    this.child.stdin.end();
  }
}

/** @returns what stands in the way, or null */
function install(folder: string): string | null {
  console.error(`Installing tokenizers ${VERSION} (64 MB) into ${folder} ...`);
  mkdirSync(folder, { recursive: true });
  const args = [
    'install',
    '--prefix',
    folder,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    `tokenizers@${VERSION}`,
  ];
  const { status, error } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return status === 0 ? null : `npm cannot install it (${error?.message ?? `status ${status}`})`;
}
