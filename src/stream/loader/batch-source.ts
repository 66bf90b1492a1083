/** What the loader's thread draws from: shards, local or remote, and text files, whole sequences or packed documents, behind one face. */
import { assert } from '../../base/index.ts';
import { parseTokenizer } from '../../tokenizer/index.ts';
import type { Batch } from '../batch.ts';
import { type DataState, isStreamingState } from '../data-state.ts';
import { MosaicDataset } from '../mosaic/mosaic-dataset.ts';
import { requireMosaicState } from '../mosaic/mosaic-state.ts';
import { isMosaicOrder, isMosaicShuffle } from '../mosaic/order-config.ts';
import { PackedDataset } from '../packed-dataset.ts';
import type { Mix, SamplePlace } from '../places.ts';
import type { SampleReader } from '../sample-reader.ts';
import { StreamingDataset } from '../streaming-dataset.ts';
import type { LoaderSettings } from './protocol.ts';
import type { RemoteStreams } from './remote-streams.ts';
import { openTextPlace, type TextPlace } from './text-streams.ts';

export interface BatchSource {
  setMix(mix: Mix): void;
  /** What must happen before the next sequences can be read; undefined where nothing must. */
  prepare(numSequences: number): Promise<void> | undefined;
  nextBatch(numSequences: number, sequenceLength: number): Batch;
  state(): DataState;
  restore(state: DataState): Promise<void>;
  close(): void;
}

type Streams = Readonly<Record<string, string | SampleReader>>;

/** @throws what StreamingDataset, RemoteStreams and openTextReader throw when they are opened, and for one of `mixes` */
export async function openBatchSource(settings: LoaderSettings): Promise<BatchSource> {
  const { remote: options, streams: places, order } = settings;
  const urls = Object.fromEntries(Object.entries(places).filter(([, place]) => isRemote(place)));
  // The clients of stores are large: they are loaded only where there is a remote stream.
  const remote =
    options && Object.keys(urls).length > 0
      ? await (await import('./remote-streams.ts')).RemoteStreams.open(
          urls as Record<string, string>,
          options,
        )
      : undefined;
  try {
    // In the order of the settings, which counts in MosaicML's orders.
    const streams = { ...places, ...(await textReaders(settings)), ...remote?.readers } as Streams;
    if (order && isMosaicOrder(order)) return mosaicSource(settings, streams, remote);
    const data = openData(settings, streams);
    return settings.packing ? packedSource(data, remote, settings) : wholeSource(data, remote, settings);
  } catch (error) {
    remote?.close();
    throw error;
  }
}

/** Whether a stream's place is the URL of a store rather than a local folder. */
export function isRemote(place: string | TextPlace): place is string {
  return typeof place === 'string' && /^[a-z][a-z0-9+.-]+:/i.test(place);
}

/** stream -> reader, of those that are text files. */
async function textReaders({
  streams,
  tokenizerJson,
}: LoaderSettings): Promise<Record<string, SampleReader>> {
  const readers: Record<string, SampleReader> = {};
  const texts = Object.entries(streams).flatMap(([name, place]) =>
    typeof place === 'string' ? [] : [{ name, place }],
  );
  if (texts.length === 0) return readers;
  assert(tokenizerJson !== undefined, 'text files are read with a tokenizer');
  const tokenizer = parseTokenizer(JSON.parse(tokenizerJson));
  for (const { name, place } of texts) readers[name] = await openTextPlace(place, tokenizer);
  return readers;
}

function openData(settings: LoaderSettings, streams: Streams): StreamingDataset {
  const { seed, endOfText, vocabSize, order } = settings;
  const { shuffle = 'block', blockSize, canonicalNodes } = order ?? {};
  assert(!isMosaicShuffle(shuffle), 'a shuffle of our own');
  const data = new StreamingDataset({
    streams,
    seed,
    endOfText,
    vocabSize,
    shuffle,
    blockSize,
    canonicalNodes,
  });
  return checked(data, settings);
}

function checked<Data extends StreamingDataset | MosaicDataset>(data: Data, { mixes }: LoaderSettings): Data {
  try {
    for (const mix of mixes) data.checkMix(mix);
    return data;
  } catch (error) {
    data.close();
    throw error;
  }
}

/** MosaicML's order: without a curriculum its streams are those of `shares`, or whole, until a mix is asked for. */
function mosaicSource(
  settings: LoaderSettings,
  streams: Streams,
  remote: RemoteStreams | undefined,
): BatchSource {
  const { endOfText, vocabSize, order, batchSequences, mixes, remote: options } = settings;
  assert(batchSequences !== undefined, 'the size of the batches that the order is made of');
  const data = checked(
    new MosaicDataset({ streams, config: order!, batchSequences, endOfText, vocabSize }),
    settings,
  );
  const sizes = data.numSamples;
  const isAsked = (mix: Mix) => mixes.length > 0 || data.state().mix !== undefined || !isBySize(mix, sizes);
  return {
    setMix(mix) {
      if (isAsked(mix)) data.setMix(mix);
    },
    prepare: (numSequences) =>
      remote?.ready(data.peek(numSequences), () => data.peekShards(numSequences + options!.predownload)),
    nextBatch: (numSequences, sequenceLength) => data.nextBatch(numSequences, sequenceLength),
    state: () => data.state(),
    async restore(state) {
      requireMosaicState(state);
      data.restore(state);
    },
    close() {
      data.close();
      remote?.close();
    },
  };
}

/** Whether the mix is what streams that are taken whole make. */
function isBySize(mix: Mix, sizes: Readonly<Record<string, number>>): boolean {
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  const ofMix = sum(Object.values(mix));
  const ofSizes = sum(Object.values(sizes));
  return Object.entries(sizes).every(
    ([name, size]) => Math.abs((mix[name] ?? 0) / ofMix - size / ofSizes) < 1e-9,
  );
}

function wholeSource(
  data: StreamingDataset,
  remote: RemoteStreams | undefined,
  { remote: options }: LoaderSettings,
): BatchSource {
  return {
    setMix: (mix) => data.setMix(mix),
    prepare: (numSequences) =>
      remote?.ready(data.peek(numSequences), () => data.peekShards(numSequences + options!.predownload)),
    nextBatch: (numSequences, sequenceLength) => data.nextBatch(numSequences, sequenceLength),
    state: () => data.state(),
    async restore(state) {
      assert(isStreamingState(state), 'a place in our own order');
      data.restore(state);
    },
    close() {
      data.close();
      remote?.close();
    },
  };
}

function packedSource(
  data: StreamingDataset,
  remote: RemoteStreams | undefined,
  { remote: options, packing }: LoaderSettings,
): BatchSource {
  const packed = new PackedDataset(data, packing!);
  const ready = (samples: readonly SamplePlace[]) =>
    remote!.ready(samples, () => data.peekShards(samples.length + options!.predownload));
  const prepare = async (numSequences: number) => {
    for (let needed = packed.peek(numSequences); needed.length > 0; needed = packed.peek(numSequences)) {
      await ready(needed);
      packed.prepare();
    }
  };
  return {
    setMix: (mix) => data.setMix(mix),
    prepare: (numSequences) => (remote ? prepare(numSequences) : undefined),
    nextBatch: (numSequences) => packed.nextBatch(numSequences),
    state: () => packed.state(),
    async restore(state) {
      assert(isStreamingState(state), 'a place in our own order');
      const { takenSequences: _, ...start } = state;
      data.restore(start);
      if (remote) await ready(data.peek(packing!.windowSamples));
      packed.restore(state);
    },
    close() {
      packed.close();
      remote?.close();
    },
  };
}
