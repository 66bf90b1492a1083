/**
 * The loader's thread: owns the data set and draws batches as it is told, one after the other. It keeps where the data
 * stood before each of the last draws, so that those that turn out not to be wanted can be taken back.
 */
import { type MessagePort, workerData } from 'node:worker_threads';
import { errorToData } from '../../base/index.ts';
import type { Batch } from '../batch.ts';
import { StreamingDataset } from '../streaming-dataset.ts';
import type { StreamingState } from '../streaming-state.ts';
import type { FromLoader, LoaderSettings, ToLoader } from './protocol.ts';

/** More than a loader ever asks for ahead. */
const KEPT_STATES = 4096;

const { port, settings } = workerData as { port: MessagePort; settings: LoaderSettings };
const send = (message: FromLoader, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(message, [...transfer]);

class ReaderThread {
  private readonly data: StreamingDataset;
  private readonly before = new Map<number, StreamingState>();
  /** the draw that has failed: nothing is drawn until the loader has gone back to it or before */
  private failed: number | undefined;

  constructor({ mixes, ...options }: LoaderSettings) {
    this.data = new StreamingDataset(options);
    try {
      for (const mix of mixes) this.data.checkMix(mix);
    } catch (error) {
      this.data.close();
      throw error;
    }
    send({ type: 'open', state: this.data.state() });
  }

  handle(message: ToLoader): void {
    if (message.type === 'draw') this.draw(message);
    else if (message.type === 'close') this.close();
    else if (message.type === 'restore') this.goTo(message.state);
    else this.rewind(message.id);
  }

  private rewind(id: number): void {
    const state = this.before.get(id);
    // Where there is none, an earlier draw has failed, and the data stands before that.
    if (state) this.goTo(state);
  }

  private draw({ id, mix, numSequences, sequenceLength }: Extract<ToLoader, { type: 'draw' }>): void {
    if (this.failed !== undefined) return;
    this.before.set(id, this.data.state());
    if (this.before.size > KEPT_STATES) this.before.delete(this.before.keys().next().value!);
    try {
      if (mix) this.data.setMix(mix);
      const batch = this.data.nextBatch(numSequences, sequenceLength);
      send({ type: 'batch', id, batch, state: this.data.state() }, buffersOf(batch));
    } catch (error) {
      this.failed = id;
      send({ type: 'draw_failed', id, error: errorToData(error) });
    }
  }

  private goTo(state: StreamingState): void {
    this.data.restore(state);
    this.before.clear();
    this.failed = undefined;
  }

  private close(): void {
    this.data.close();
    port.close();
  }
}

function buffersOf({ tokens, targets, firstKey, positions }: Batch): ArrayBuffer[] {
  return [tokens, targets, firstKey, positions].map(({ buffer }) => buffer as ArrayBuffer);
}

try {
  const thread = new ReaderThread(settings);
  port.on('message', (message: ToLoader) => thread.handle(message));
} catch (error) {
  send({ type: 'open_failed', error: errorToData(error) });
  port.close();
}
