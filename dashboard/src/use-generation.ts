/** One generation at a time: its text as it comes, how it ended, and the means to stop it. */
import { useEffect, useRef, useState } from 'react';
import { type GenerationRequest, generate } from './completion-stream.ts';

export interface Generation {
  readonly running: boolean;
  readonly text: string;
  /** how it ended: `length`, `stop`, `stopped by you` */
  readonly ending?: string;
  readonly error?: string;
  readonly tokens?: number;
  readonly seconds?: number;
}

const IDLE: Generation = { running: false, text: '' };

export interface GenerationControl {
  readonly generation: Generation;
  /** resolves with the whole text, or undefined where it failed */
  readonly start: (request: GenerationRequest) => Promise<string | undefined>;
  readonly stop: () => void;
  readonly clear: () => void;
}

export function useGeneration(): GenerationControl {
  const [generation, setGeneration] = useState<Generation>(IDLE);
  const abort = useRef<AbortController>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const start = async (request: GenerationRequest): Promise<string | undefined> => {
    const control = new AbortController();
    abort.current = control;
    const startMs = performance.now();
    let current: Generation = { running: true, text: '' };
    const show = (change: Partial<Generation>): void => {
      current = { ...current, seconds: (performance.now() - startMs) / 1000, ...change };
      setGeneration(current);
    };
    show({});
    try {
      for await (const event of generate(request, control.signal)) {
        if (event.type === 'text') show({ text: current.text + event.text });
        else if (event.type === 'finished') show({ ending: event.reason });
        else show({ tokens: event.completionTokens });
      }
      show({ running: false });
      return current.text;
    } catch (error) {
      if (control.signal.aborted) show({ running: false, ending: 'stopped by you' });
      else show({ running: false, error: errorText(error) });
      return control.signal.aborted ? current.text : undefined;
    }
  };
  return { generation, start, stop: () => abort.current?.abort(), clear: () => setGeneration(IDLE) };
}

function errorText(error: unknown): string {
  if (error instanceof TypeError) return 'The server cannot be reached. Is it still running?';
  return error instanceof Error ? error.message : String(error);
}
