/** Encoding in worker threads; answers come in whatever order, promises keep the caller's. */
import type { Worker } from 'node:worker_threads';
import { assert, spawnWorker } from '../base/index.ts';
import type { EncodeAnswer, EncodeJob } from './encode-worker.ts';

interface Pending {
  readonly resolve: (tokens: Int32Array) => void;
  readonly reject: (error: unknown) => void;
}

export class EncodePool {
  private readonly workers: Worker[];
  private readonly pending = new Map<number, Pending>();
  private nextId = 0;
  private failure: unknown;

  /** @param tokenizerPath a tokenizer.json, loaded once by each thread */
  constructor(tokenizerPath: string, threads: number) {
    assert(threads >= 1, 'an encode pool needs a thread');
    this.workers = Array.from({ length: threads }, () => {
      const url = new URL(
        `./encode-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
        import.meta.url,
      );
      const worker = spawnWorker(url, { workerData: { tokenizerPath } });
      worker.on('message', (answer: EncodeAnswer) => this.settle(answer));
      worker.on('error', (error) => this.fail(error));
      worker.on('exit', (status) => this.fail(new Error(`an encoding thread ended with status ${status}`)));
      return worker;
    });
  }

  get threads(): number {
    return this.workers.length;
  }

  /** The tokens of all `texts` joined, the end-of-text token after each. */
  encode(texts: readonly string[]): Promise<Int32Array> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.nextId++;
    const job: EncodeJob = { id, texts };
    const tokens = new Promise<Int32Array>((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.workers[id % this.workers.length]!.postMessage(job);
    });
    // A thread may fail while nobody waits yet; whoever waits later still gets the error.
    tokens.catch(() => {});
    return tokens;
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private settle({ id, tokens }: EncodeAnswer): void {
    this.pending.get(id)?.resolve(tokens);
    this.pending.delete(id);
  }

  private fail(error: unknown): void {
    this.failure ??= error;
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }
}
