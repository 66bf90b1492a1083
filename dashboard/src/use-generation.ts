/** One generation at a time: its text as it comes, how it ended, and the means to stop it. */
import { useEffect, useRef, useState } from 'react';
import { type GenerationInput, type GenerationRequest, generate, Refusal } from './completion-stream.ts';

export interface Generation {
  readonly running: boolean;
  readonly text: string;
  /** how it ended: `length`, `stop`, `stopped by you` */
  readonly ending?: string;
  readonly error?: string;
  readonly tokens?: number;
  /** of prompt and answer */
  readonly totalTokens?: number;
  readonly seconds?: number;
  /** what was sent in the end */
  readonly input?: GenerationInput;
}

const IDLE: Generation = { running: false, text: '' };

/** A shorter input in place of one that does not fit the context; undefined gives up. */
export type Shorten<T extends GenerationInput> = (input: T) => T | undefined;

export interface GenerationControl {
  readonly generation: Generation;
  /** resolves with how it ended; undefined where it was cleared meanwhile */
  readonly start: <T extends GenerationInput>(
    request: GenerationRequest<T>,
    shorten?: Shorten<T>,
  ) => Promise<Generation | undefined>;
  readonly stop: () => void;
  readonly clear: () => void;
}

export function useGeneration(): GenerationControl {
  const [generation, setGeneration] = useState<Generation>(IDLE);
  const abort = useRef<AbortController>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const start: GenerationControl['start'] = async (request, shorten = () => undefined) => {
    const control = new AbortController();
    abort.current = control;
    const startMs = performance.now();
    let current: Generation = { running: true, text: '' };
    const show = (change: Partial<Generation>): Generation | undefined => {
      current = { ...current, seconds: (performance.now() - startMs) / 1000, ...change };
      if (abort.current !== control) return undefined;
      setGeneration(current);
      return current;
    };
    for (let { input } = request; ; ) {
      show({ input });
      try {
        for await (const event of generate({ ...request, input }, control.signal)) {
          if (event.type === 'text') show({ text: current.text + event.text });
          else if (event.type === 'finished') show({ ending: event.reason });
          else show({ tokens: event.completionTokens, totalTokens: event.totalTokens });
        }
        return show({ running: false });
      } catch (error) {
        if (control.signal.aborted) return show({ running: false, ending: 'stopped by you' });
        const full = error instanceof Refusal && error.code === 'context_length_exceeded';
        const shorter = full ? shorten(input) : undefined;
        if (shorter === undefined) return show({ running: false, error: errorText(error) });
        input = shorter;
      }
    }
  };
  return {
    generation,
    start,
    stop: () => abort.current?.abort(),
    clear: () => {
      abort.current?.abort();
      abort.current = null;
      setGeneration(IDLE);
    },
  };
}

function errorText(error: unknown): string {
  if (error instanceof TypeError) return 'The server cannot be reached. Is it still running?';
  return error instanceof Error ? error.message : String(error);
}
