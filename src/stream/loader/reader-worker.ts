/**
 * The loader's thread: owns the data set and draws batches as it is told, one after the other. It keeps where the data
 * stood before each of the last draws, so that those that turn out not to be wanted can be taken back.
 */
import { type MessagePort, workerData } from 'node:worker_threads';
import { errorToData } from '../../base/index.ts';
import type { Batch } from '../batch.ts';
import type { DataState } from '../data-state.ts';
import { type BatchSource, openBatchSource } from './batch-source.ts';
import type { FromLoader, LoaderSettings, ToLoader } from './protocol.ts';

/** More than a loader ever asks for ahead. */
const KEPT_STATES = 4096;

const { port, settings } = workerData as { port: MessagePort; settings: LoaderSettings };
const send = (message: FromLoader, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(message, [...transfer]);

class ReaderThread {
  private readonly source: BatchSource;
  private readonly before = new Map<number, DataState>();
  /** the draw that has failed: nothing is drawn until the loader has gone back to it or before */
  private failed: number | undefined;
  /** why the data could not go back to where it was told to */
  private lost: unknown;
  /** what was told and is not done: draws may wait for shards */
  private readonly told: Exclude<ToLoader, { type: 'close' }>[] = [];
  private working = false;
  private closed = false;

  constructor(source: BatchSource) {
    this.source = source;
    port.on('message', (message: ToLoader) => this.hear(message));
    send({ type: 'open', state: source.state() });
  }

  private hear(message: ToLoader): void {
    if (message.type === 'close') this.close();
    else this.told.push(message);
    if (!this.working) void this.work();
  }

  private async work(): Promise<void> {
    this.working = true;
    for (let next = this.told.shift(); next && !this.closed; next = this.told.shift()) {
      if (next.type === 'draw') {
        // Without giving way to the event loop where nothing must be waited for.
        const drawn = this.draw(next);
        if (drawn) await drawn;
      } else await this.goTo(next);
    }
    this.working = false;
  }

  private draw(draw: Extract<ToLoader, { type: 'draw' }>): Promise<void> | undefined {
    if (this.failed !== undefined) return undefined;
    this.before.set(draw.id, this.source.state());
    if (this.before.size > KEPT_STATES) this.before.delete(this.before.keys().next().value!);
    try {
      if (this.lost !== undefined) throw this.lost;
      if (draw.mix) this.source.setMix(draw.mix);
      const waits = this.source.prepare(draw.numSequences);
      if (waits) return waits.then(() => this.read(draw)).catch((error) => this.fail(draw.id, error));
      this.read(draw);
    } catch (error) {
      this.fail(draw.id, error);
    }
    return undefined;
  }

  private read({ id, numSequences, sequenceLength }: Extract<ToLoader, { type: 'draw' }>): void {
    if (this.closed) return;
    const batch = this.source.nextBatch(numSequences, sequenceLength);
    send({ type: 'batch', id, batch, state: this.source.state() }, buffersOf(batch));
  }

  private fail(id: number, error: unknown): void {
    if (this.closed) return;
    this.failed = id;
    send({ type: 'draw_failed', id, error: errorToData(error) });
  }

  private async goTo(told: Extract<ToLoader, { type: 'restore' | 'rewind' }>): Promise<void> {
    // Where a draw has not begun, an earlier one has failed, and the data stands before that.
    const state = told.type === 'restore' ? told.state : this.before.get(told.id);
    if (!state) return;
    try {
      await this.source.restore(state);
      this.lost = undefined;
    } catch (error) {
      this.lost = error;
    }
    this.failed = undefined;
    this.before.clear();
  }

  private close(): void {
    this.closed = true;
    this.source.close();
    port.close();
  }
}

function buffersOf({ tokens, targets, firstKey, positions }: Batch): ArrayBuffer[] {
  return [tokens, targets, firstKey, positions].map(({ buffer }) => buffer as ArrayBuffer);
}

try {
  new ReaderThread(await openBatchSource(settings));
} catch (error) {
  send({ type: 'open_failed', error: errorToData(error) });
  port.close();
}
