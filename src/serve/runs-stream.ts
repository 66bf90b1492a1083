/**
 * A run as server-sent events: new metrics, events and status as they are appended. Files are polled by size, which works on
 * every file system; a file that shrank or was replaced (a resume) is sent anew with `reset`. Every message carries the byte
 * offsets as its id, so that a browser that reconnects goes on where it was.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { RUN_FILES, type RunStatus, type RunsReader, readEvents, readMetrics } from '../runs/index.ts';

const POLL_INTERVAL_MS = 500;
const KEEP_ALIVE_INTERVAL_MS = 15_000;
const MESSAGE_BYTES = 1 << 20;

/** Byte offsets, and the inode of the metrics file they were read from, by which a file replaced meanwhile is known. */
export interface StreamPosition {
  readonly metrics: number;
  readonly events: number;
  readonly metricsInode?: number;
}

/** The position in a `Last-Event-ID` header (`METRICS-EVENTS-INODE`); undefined where it is none of ours. */
export function parsePosition(id: string | undefined): StreamPosition | undefined {
  const match = /^(\d{1,15})-(\d{1,15})-(\d{1,20})$/.exec(id ?? '');
  if (!match) return undefined;
  const [metrics, events, inode] = match.slice(1).map(Number);
  return { metrics, events, metricsInode: inode === 0 ? undefined : inode };
}

/** The text of the stream for the run at `runPath`, from `start` on, until `signal` aborts. */
export function streamRun(
  runPath: string,
  start: StreamPosition,
  reader: RunsReader,
  signal: AbortSignal,
): Readable {
  return Readable.from(messages(runPath, start, reader, signal), {
    objectMode: false,
    highWaterMark: MESSAGE_BYTES,
  });
}

async function* messages(
  runPath: string,
  start: StreamPosition,
  reader: RunsReader,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const metrics = new Tail(join(runPath, RUN_FILES.metrics), start.metrics, start.metricsInode, (since) => {
    const read = readMetrics(runPath, since, MESSAGE_BYTES);
    return { content: { metrics: read.values }, next: read.nextByte };
  });
  const events = new Tail(join(runPath, RUN_FILES.events), start.events, undefined, (since) => {
    const read = readEvents(runPath, since, MESSAGE_BYTES);
    return { content: { events: read.values }, next: read.nextByte };
  });
  const message = (type: string, data: object) =>
    `event: ${type}\nid: ${metrics.position}-${events.position}-${metrics.inode ?? 0}\ndata: ${JSON.stringify(data)}\n\n`;
  let told: RunStatus | undefined;
  yield 'retry: 1000\n\n';
  for (let quietMs = 0; !signal.aborted; ) {
    let said = false;
    for (let page = events.read(); page; page = events.read()) yield message('events', page);
    for (let page = metrics.read(); page; page = metrics.read()) yield message('metrics', page);
    const status = reader.status(runPath);
    if (status !== told) {
      told = status;
      said = true;
      yield message('status', status);
    }
    quietMs = said ? 0 : quietMs + POLL_INTERVAL_MS;
    if (quietMs >= KEEP_ALIVE_INTERVAL_MS) {
      quietMs = 0;
      yield ': keep-alive\n\n';
    }
    await sleep(POLL_INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
}

type ReadFrom = (since: number) => { content: object; next: number };

/** Follows one append-only file that may be replaced by a shorter one. */
class Tail {
  position: number;
  inode: number | undefined;
  private readonly path: string;
  private readonly readFrom: ReadFrom;

  constructor(path: string, position: number, inode: number | undefined, readFrom: ReadFrom) {
    this.inode = inode;
    this.path = path;
    this.position = position;
    this.readFrom = readFrom;
  }

  /** What was appended since the last call; undefined where nothing was. */
  read(): object | undefined {
    const stat = statSync(this.path, { throwIfNoEntry: false });
    const replaced = this.inode !== undefined && stat !== undefined && stat.ino !== this.inode;
    const reset = replaced || (stat?.size ?? 0) < this.position;
    this.inode = stat?.ino;
    if (reset) this.position = 0;
    const { content, next } = this.readFrom(this.position);
    if (next === this.position && !reset) return undefined;
    this.position = next;
    return { ...content, next, reset };
  }
}
