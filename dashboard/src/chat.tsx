/** A box to try the model in: continue a text, or talk to it; the answer streams. */
import { useRef, useState } from 'react';
import { Continuation, Conversation } from './answers.tsx';
import type { ChatTurn } from './completion-stream.ts';
import {
  type Context,
  charactersOf,
  endOf,
  fittingEnd,
  fittingTurns,
  withoutOldest,
} from './context-window.ts';
import type { ServedModel } from './live.ts';
import { type Mode, numbersOf, PromptForm, type Settings } from './prompt-form.tsx';
import { type GenerationControl, useGeneration } from './use-generation.ts';

interface ChatProps {
  readonly model: ServedModel;
  readonly shownRun: string | undefined;
}

export function Chat({ model, shownRun }: ChatProps) {
  const [mode, setMode] = useState<Mode>('complete');
  const [input, setInput] = useState('Once upon a time');
  const [settings, setSettings] = useState<Settings>({ temperature: '0.8', maxTokens: '128', seed: '' });
  const control = useGeneration();
  const tokensPerCharacter = useRef(0);
  const context = (): Context => {
    const { maxTokens } = numbersOf(settings);
    return { length: model.contextLength, maxTokens, tokensPerCharacter: tokensPerCharacter.current };
  };
  /** Starts, and learns from the answer how many tokens a character is. */
  const start: GenerationControl['start'] = async (request, shorten) => {
    const result = await control.start(request, shorten);
    if (!result) return undefined;
    const characters = charactersOf(result.input ?? '') + result.text.length;
    if (result.totalTokens && characters > 0) tokensPerCharacter.current = result.totalTokens / characters;
    return result;
  };
  const request = { model: model.id, ...numbersOf(settings) };
  const parts = { request, context, input, setInput, control: { ...control, start } };
  const text = useContinuation(parts);
  const chat = useConversation(parts);
  const { generation } = control;
  const change = (next: Mode): void => {
    text.restart();
    chat.restart();
    setInput('');
    setMode(next);
  };
  const current = mode === 'chat' ? chat : text;
  const send = (): void => {
    if (!generation.running && input.trim() !== '') current.send();
  };
  return (
    <section className="card" aria-label="Try the model">
      <div className="title-row">
        <h2>Try the model</h2>
        <span className="soft">{model.id}</span>
        <ModeSwitch mode={mode} change={change} />
      </div>
      {shownRun !== undefined && shownRun !== model.id && (
        <p className="soft" data-testid="other-model">
          {model.id} answers: it is the model that is served. The rest of this page shows the run {shownRun}.
        </p>
      )}
      {mode === 'chat' && <Conversation {...chat} {...{ generation }} contextLength={model.contextLength} />}
      {mode === 'complete' && (
        <Continuation {...text} {...{ generation }} contextLength={model.contextLength} />
      )}
      {generation.error && (
        <p className="error" role="alert">
          {generation.error}
        </p>
      )}
      <PromptForm
        {...{ mode, input, setInput, settings, setSettings, send }}
        stop={control.stop}
        restart={current.isBegun ? current.restart : undefined}
        busy={generation.running}
      />
    </section>
  );
}

interface Parts {
  readonly request: { model: string; temperature: number; maxTokens: number; seed: number | undefined };
  readonly context: () => Context;
  readonly input: string;
  readonly setInput: (text: string) => void;
  readonly control: GenerationControl;
}

/** A text and what the model has made of it; `send` goes on with it until the text in the box is another. */
function useContinuation({ request, context, input, control }: Parts) {
  const [prompt, setPrompt] = useState('');
  const [before, setBefore] = useState('');
  const { generation, start, clear } = control;
  const written = before + generation.text;
  const goesOn = prompt === input && written !== '';
  const send = async (): Promise<void> => {
    setPrompt(input);
    setBefore(goesOn ? written : '');
    // A text of the user's is refused where it is too long; what grew too long here goes on from its end.
    if (!goesOn) await start({ ...request, input });
    else await start({ ...request, input: fittingEnd(input + written, context()) }, shorter);
  };
  const restart = (): void => {
    clear();
    setPrompt('');
    setBefore('');
  };
  return { prompt, before, send, restart, isBegun: goesOn };
}

function shorter(text: string): string | undefined {
  return text.length < 16 ? undefined : endOf(text, text.length * 0.8);
}

/** A conversation; its oldest turns are left out of what is sent where the context would not hold it. */
function useConversation({ request, context, input, setInput, control }: Parts) {
  const [turns, setTurns] = useState<readonly ChatTurn[]>([]);
  const [dropped, setDropped] = useState(0);
  const { generation, start, clear } = control;
  const send = async (): Promise<void> => {
    const conversation: ChatTurn[] = [...turns, { role: 'user', content: input.trim() }];
    setTurns(conversation);
    setInput('');
    const sent = fittingTurns(conversation, context());
    const result = await start<readonly ChatTurn[]>({ ...request, input: sent }, withoutOldest);
    if (!result) return;
    const answer = result.text.trimStart();
    if (result.error === undefined && answer !== '') {
      setTurns([...conversation, { role: 'assistant', content: answer }]);
      setDropped(conversation.length - (result.input?.length ?? 0));
      return;
    }
    // Not answered: the message goes back to be changed or sent again.
    setTurns(turns);
    setInput(input);
  };
  const restart = (): void => {
    clear();
    setTurns([]);
    setDropped(0);
  };
  const { running, input: sent } = generation;
  const atWork = running && typeof sent === 'object' ? turns.length - sent.length : undefined;
  return { turns, dropped: atWork ?? dropped, send, restart, isBegun: turns.length > 0 };
}

function ModeSwitch({ mode, change }: { mode: Mode; change: (mode: Mode) => void }) {
  return (
    <fieldset className="switch">
      <legend className="hidden">What the model does</legend>
      {(['complete', 'chat'] as const).map((each) => (
        <label key={each} className={each === mode ? 'on' : ''}>
          <input type="radio" name="mode" checked={each === mode} onChange={() => change(each)} />
          {each === 'complete' ? 'Continue text' : 'Chat'}
        </label>
      ))}
    </fieldset>
  );
}
