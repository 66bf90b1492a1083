/**
 * A profile in the Trace Event Format that Perfetto and chrome://tracing open: complete events (`X`) nested by time,
 * step > phase > layer > kernel, and counter events (`C`) of memory.
 * @see https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import type { Profiler } from './profiler.ts';

/** Times in microseconds. */
export type TraceEvent =
  | {
      readonly ph: 'X';
      readonly name: string;
      readonly cat: string;
      readonly ts: number;
      readonly dur: number;
      readonly pid: number;
      readonly tid: number;
      readonly args: Readonly<Record<string, unknown>>;
    }
  | {
      readonly ph: 'C' | 'M';
      readonly name: string;
      readonly ts: number;
      readonly pid: number;
      readonly args: Readonly<Record<string, unknown>>;
    };

export interface ChromeTrace {
  readonly displayTimeUnit: 'ms';
  readonly traceEvents: readonly TraceEvent[];
}

/** The steps a profiler has kept, from 0 µs on; `title` names the process. */
export function chromeTrace({ spans, calls, memory }: Profiler, title: string): ChromeTrace {
  const originMs = Math.min(...spans.filter(({ kind }) => kind === 'step').map(({ startMs }) => startMs));
  // Whole nanoseconds, so that rounding cannot push an event out of the one around it.
  const micros = (ms: number) => Math.round((ms - originMs) * 1e6) / 1e3;
  const complete = (event: { name: string; kind: string; startMs: number; endMs: number }, args = {}) => {
    const ts = micros(event.startMs);
    const dur = Math.round((micros(event.endMs) - ts) * 1e3) / 1e3;
    return { ph: 'X', name: event.name, cat: event.kind, ts, dur, pid: 1, tid: 1, args } as const;
  };
  return {
    displayTimeUnit: 'ms',
    traceEvents: [
      { ph: 'M', name: 'process_name', ts: 0, pid: 1, args: { name: title } },
      ...spans.map((span) => complete(span)).sort((a, b) => a.ts - b.ts || b.dur - a.dur),
      ...calls.map((call) => {
        const { flops, bytes, precision } = call;
        return complete(call, flops > 0 ? { flops, precision, bytes } : { bytes });
      }),
      ...memory.samples.map(
        ({ atMs, usedBytes }) =>
          ({ ph: 'C', name: 'memory (bytes)', ts: micros(atMs), pid: 1, args: usedBytes }) as const,
      ),
    ],
  };
}
