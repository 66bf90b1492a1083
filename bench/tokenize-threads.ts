/** Threads that encode their documents when told, by ours or by tiktoken; the thread that asks sleeps until all are done. */
import { isMainThread, type Worker, workerData } from 'node:worker_threads';
import { get_encoding } from 'tiktoken';
import { spawnWorker } from '../src/base/index.ts';
import { parseTokenizer, TokenBuffer, type Tokenizer } from '../src/tokenizer/index.ts';

const WAYS = ['ours', 'new', 'tiktoken', 'make new'] as const;
type Way = (typeof WAYS)[number];

interface Shared {
  readonly tokenizerJson: string;
  readonly isCl100k: boolean;
}

/** Places in the memory that all share: orders given, what is to be done, threads that are done. */
const [ORDER, WAY, DONE] = [0, 1, 2];

export class EncodingThreads {
  private readonly control = new Int32Array(new SharedArrayBuffer(12));
  private readonly workers: Worker[];

  constructor({ texts, ...shared }: Shared & { readonly texts: readonly string[] }, threads: number) {
    this.workers = dealt(texts, threads).map((part) =>
      spawnWorker(new URL(import.meta.url), {
        workerData: { ...shared, texts: part, control: this.control },
      }),
    );
    this.run('ours'); // waits until all have begun
  }

  /** Encodes all documents once. */
  run(way: Way): void {
    if (way === 'new') this.order('make new');
    this.order(way);
  }

  /** Seconds to encode all documents once; making a new tokenizer is not counted. */
  seconds(way: Way): number {
    if (way === 'new') this.order('make new');
    const start = performance.now();
    this.order(way);
    return (performance.now() - start) / 1000;
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private order(way: Way): void {
    const { control } = this;
    control[DONE] = 0;
    control[WAY] = WAYS.indexOf(way);
    Atomics.add(control, ORDER, 1);
    Atomics.notify(control, ORDER);
    for (let done = 0; done < this.workers.length; done = Atomics.load(control, DONE)) {
      Atomics.wait(control, DONE, done, 1000);
    }
  }
}

/** Documents dealt to threads, the longest first, each to the one that has least. */
function dealt(texts: readonly string[], threads: number): string[][] {
  const parts = Array.from({ length: threads }, () => ({ texts: [] as string[], length: 0 }));
  for (const text of [...texts].sort((a, b) => b.length - a.length)) {
    const least = parts.reduce((a, b) => (b.length < a.length ? b : a));
    least.texts.push(text);
    least.length += text.length;
  }
  return parts.map((part) => part.texts);
}

function work({
  tokenizerJson,
  isCl100k,
  texts,
  control,
}: Shared & { texts: string[]; control: Int32Array }): void {
  const model = JSON.parse(tokenizerJson);
  const ours = parseTokenizer(model);
  let fresh: Tokenizer = ours;
  const tiktoken = isCl100k ? get_encoding('cl100k_base') : null;
  const out = new TokenBuffer();
  const encode = (tokenizer: Tokenizer): void => {
    for (const text of texts) {
      out.clear();
      tokenizer.encodeInto(text, out);
    }
  };
  for (let order = 0; ; order++) {
    Atomics.wait(control, ORDER, order);
    const way = WAYS[control[WAY]];
    if (way === 'ours') encode(ours);
    else if (way === 'new') encode(fresh);
    else if (way === 'make new') fresh = parseTokenizer(model);
    else for (const text of texts) tiktoken?.encode_ordinary(text);
    Atomics.add(control, DONE, 1);
    Atomics.notify(control, DONE);
  }
}

if (!isMainThread && workerData?.control) work(workerData);
