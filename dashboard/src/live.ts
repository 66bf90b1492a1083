/**
 * The state of the page: the list of runs and one run followed live. The stream of a run is an EventSource, which takes up a
 * broken connection where it was; where it gives up (the server answers with an error), it is opened anew from the start.
 */
import { useEffect, useReducer, useState } from 'react';
import type {
  EventsPage,
  MetricsPage,
  RunDetail,
  RunEvent,
  RunListEntry,
  RunMetrics,
  RunStatus,
} from '../../src/runs/index.ts';

const RUNS_INTERVAL_MS = 5000;
const MODELS_INTERVAL_MS = 3000;
const RETRY_MS = 2000;

export interface LiveRun {
  readonly connection: 'connecting' | 'open' | 'lost';
  readonly status?: RunStatus;
  /** by rising step, each step once */
  readonly metrics: readonly RunMetrics[];
  readonly events: readonly RunEvent[];
}

type Message =
  | { type: 'connection'; connection: LiveRun['connection'] }
  | { type: 'restart' }
  | { type: 'status'; status: RunStatus }
  | { type: 'metrics'; page: MetricsPage }
  | { type: 'events'; page: EventsPage };

const EMPTY: LiveRun = { connection: 'connecting', metrics: [], events: [] };

function reduce(run: LiveRun, message: Message): LiveRun {
  switch (message.type) {
    case 'connection':
      return { ...run, connection: message.connection };
    case 'restart':
      return EMPTY;
    case 'status':
      return { ...run, connection: 'open', status: message.status };
    case 'metrics':
      return { ...run, metrics: joinMetrics(message.page.reset ? [] : run.metrics, message.page.metrics) };
    case 'events':
      return {
        ...run,
        events: message.page.reset ? message.page.events : [...run.events, ...message.page.events],
      };
  }
}

/**
 * Lines of one step (training, evaluation) become one. A smaller step (the run went back to a checkpoint) replaces what
 * was known from there on.
 */
function joinMetrics(known: readonly RunMetrics[], added: readonly RunMetrics[]): readonly RunMetrics[] {
  const joined = [...known];
  for (const each of added) {
    while (joined.length > 0 && joined.at(-1)!.step > each.step) joined.pop();
    if (joined.at(-1)?.step === each.step) joined.push({ ...joined.pop()!, ...each });
    else joined.push(each);
  }
  return joined;
}

/** Follows the run `name`; undefined follows none. */
export function useLiveRun(name: string | undefined): LiveRun {
  const [run, dispatch] = useReducer(reduce, EMPTY);
  useEffect(() => {
    dispatch({ type: 'restart' });
    if (name === undefined) return;
    let source: EventSource;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const connect = (): void => {
      source = new EventSource(`/api/runs/${encodeURIComponent(name)}/stream`);
      const on = (type: string, take: (data: never) => Message): void =>
        source.addEventListener(type, (event) =>
          dispatch(take(JSON.parse((event as MessageEvent).data) as never)),
        );
      on('status', (status: RunStatus) => ({ type: 'status', status }));
      on('metrics', (page: MetricsPage) => ({ type: 'metrics', page }));
      on('events', (page: EventsPage) => ({ type: 'events', page }));
      source.onopen = () => dispatch({ type: 'connection', connection: 'open' });
      source.onerror = () => {
        dispatch({ type: 'connection', connection: 'lost' });
        if (source.readyState !== EventSource.CLOSED) return;
        timer = setTimeout(() => {
          dispatch({ type: 'restart' });
          connect();
        }, RETRY_MS);
      };
    };
    connect();
    return () => {
      clearTimeout(timer);
      source.close();
    };
  }, [name]);
  return run;
}

/** The recipe of a run, asked for once. */
export function useDetail(name: string | undefined): RunDetail | undefined {
  const [detail, setDetail] = useState<RunDetail>();
  useEffect(() => {
    setDetail(undefined);
    if (name === undefined) return;
    const stop = new AbortController();
    getJson<RunDetail>(`/api/runs/${encodeURIComponent(name)}`, stop.signal).then(setDetail, () => {});
    return () => stop.abort();
  }, [name]);
  return detail;
}

/** The runs there are; undefined before the first answer. */
export function useRuns(): readonly RunListEntry[] | undefined {
  return usePolled<readonly RunListEntry[]>('/api/runs', RUNS_INTERVAL_MS);
}

export interface ServedModel {
  readonly id: string;
  /** tokens of prompt and answer together */
  readonly contextLength: number;
}

/** The model that is being served; null where none is yet, undefined before the first answer. */
export function useModel(): ServedModel | null | undefined {
  const models = usePolled<{ data: readonly { id: string; max_model_len: number }[] }>(
    '/v1/models',
    MODELS_INTERVAL_MS,
  );
  const first = models?.data[0];
  return first ? { id: first.id, contextLength: first.max_model_len } : models && null;
}

/** Asks again and again; an answer that does not come leaves the last one standing. */
function usePolled<T>(path: string, intervalMs: number): T | undefined {
  const [value, setValue] = useState<T>();
  useEffect(() => {
    const stop = new AbortController();
    const ask = (): void => {
      if (document.hidden) return;
      getJson<T>(path, stop.signal).then(setValue, () => {});
    };
    ask();
    const timer = setInterval(ask, intervalMs);
    document.addEventListener('visibilitychange', ask);
    return () => {
      stop.abort();
      clearInterval(timer);
      document.removeEventListener('visibilitychange', ask);
    };
  }, [path, intervalMs]);
  return value;
}

async function getJson<T>(path: string, signal: AbortSignal): Promise<T> {
  const reply = await fetch(path, { signal });
  if (!reply.ok) throw new Error(`${path}: HTTP ${reply.status}`);
  return (await reply.json()) as T;
}
