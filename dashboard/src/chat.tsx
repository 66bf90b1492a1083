/** A box to try the model in: continue a text, or talk to it; the answer streams. */
import { type FormEvent, type KeyboardEvent, useState } from 'react';
import type { ChatTurn } from './completion-stream.ts';
import { type Generation, useGeneration } from './use-generation.ts';

type Mode = 'complete' | 'chat';

interface Settings {
  readonly temperature: string;
  readonly maxTokens: string;
  readonly seed: string;
}

export function Chat({ model }: { model: string }) {
  const [mode, setMode] = useState<Mode>('complete');
  const [input, setInput] = useState('Once upon a time');
  const [prompt, setPrompt] = useState('');
  const [turns, setTurns] = useState<readonly ChatTurn[]>([]);
  const [settings, setSettings] = useState<Settings>({ temperature: '0.8', maxTokens: '128', seed: '' });
  const { generation, start, stop, clear } = useGeneration();
  const change = (next: Mode): void => {
    stop();
    clear();
    setTurns([]);
    setPrompt('');
    setInput('');
    setMode(next);
  };
  const send = async (): Promise<void> => {
    if (generation.running || input.trim() === '') return;
    const request = { model, ...numbersOf(settings) };
    if (mode === 'complete') {
      setPrompt(input);
      await start({ ...request, input });
      return;
    }
    const conversation: ChatTurn[] = [...turns, { role: 'user', content: input.trim() }];
    setTurns(conversation);
    setInput('');
    const answer = await start({ ...request, input: conversation });
    if (!answer) return;
    setTurns([...conversation, { role: 'assistant', content: answer.trimStart() }]);
  };
  return (
    <section className="card" aria-label="Try the model">
      <div className="title-row">
        <h2>Try the model</h2>
        <span className="soft">{model}</span>
        <ModeSwitch mode={mode} change={change} />
      </div>
      {mode === 'chat' && <Conversation turns={turns} generation={generation} />}
      {mode === 'complete' && <Continuation prompt={prompt} generation={generation} />}
      {generation.error && (
        <p className="error" role="alert">
          {generation.error}
        </p>
      )}
      <PromptForm
        {...{ mode, input, setInput, settings, setSettings, stop }}
        send={send}
        busy={generation.running}
      />
    </section>
  );
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

function Continuation({ prompt, generation }: { prompt: string; generation: Generation }) {
  if (prompt === '') return null;
  return (
    <div className="answer" aria-live="polite" aria-busy={generation.running}>
      <p className="generated" data-testid="answer">
        <span className="prompt">{prompt}</span>
        {generation.text}
        {generation.running && <span className="caret" />}
      </p>
      <Ending {...generation} />
    </div>
  );
}

function Conversation({ turns, generation }: { turns: readonly ChatTurn[]; generation: Generation }) {
  const waiting = turns.at(-1)?.role === 'user' && (generation.running || generation.text !== '');
  if (turns.length === 0) {
    return (
      <p className="soft">A model that was only pre-trained continues text; it was not taught to answer.</p>
    );
  }
  return (
    <div className="answer" aria-live="polite" aria-busy={generation.running}>
      {turns.map((turn, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: turns are only appended
        <p key={i} className={`turn ${turn.role}`}>
          <span className="hidden">{turn.role === 'user' ? 'You: ' : 'Model: '}</span>
          {turn.content}
        </p>
      ))}
      {waiting && (
        <p className="turn assistant" data-testid="answer">
          {generation.text.trimStart()}
          {generation.running && <span className="caret" />}
        </p>
      )}
      <Ending {...generation} />
    </div>
  );
}

function Ending({ running, ending, tokens, seconds }: Generation) {
  if (running || (ending === undefined && tokens === undefined)) return null;
  const count = tokens === undefined ? '' : `${tokens} tokens`;
  const rate = tokens && seconds ? `${(tokens / seconds).toFixed(0)} tokens/s` : '';
  const reason =
    ending === 'length' ? 'ended at the token limit' : ending === 'stop' ? 'ended by the model' : ending;
  return <p className="soft">{[count, rate, reason].filter(Boolean).join(' · ')}</p>;
}

interface PromptFormProps {
  readonly mode: Mode;
  readonly input: string;
  readonly setInput: (text: string) => void;
  readonly settings: Settings;
  readonly setSettings: (settings: Settings) => void;
  readonly send: () => void;
  readonly stop: () => void;
  readonly busy: boolean;
}

function PromptForm({ mode, input, setInput, settings, setSettings, send, stop, busy }: PromptFormProps) {
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    send();
  };
  const onKey = (event: KeyboardEvent): void => {
    const sends = mode === 'chat' ? !event.shiftKey : event.ctrlKey || event.metaKey;
    if (event.key !== 'Enter' || !sends || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  const field = (
    key: keyof Settings,
    label: string,
    limits: { min: number; max?: number; step: number | 'any' },
  ) => (
    <label className="setting">
      {label}
      <input
        type="number"
        value={settings[key]}
        placeholder={key === 'seed' ? 'random' : undefined}
        onChange={(event) => setSettings({ ...settings, [key]: event.target.value })}
        required={key !== 'seed'}
        {...limits}
      />
    </label>
  );
  return (
    <form className="prompt-form" onSubmit={submit}>
      <label>
        {mode === 'chat' ? 'Message' : 'Text to continue'}
        <textarea
          rows={3}
          value={input}
          onChange={(event) => setInput(event.target.value)}
          onKeyDown={onKey}
        />
      </label>
      <div className="settings">
        {field('temperature', 'Temperature', { min: 0, max: 2, step: 'any' })}
        {field('maxTokens', 'Max tokens', { min: 1, step: 1 })}
        {field('seed', 'Seed', { min: 0, step: 1 })}
        <button type="button" onClick={stop} disabled={!busy}>
          Stop
        </button>
        <button type="submit" className="primary" disabled={busy || input.trim() === ''}>
          {mode === 'chat' ? 'Send' : 'Continue'}
        </button>
      </div>
      <p className="soft hint">
        {mode === 'chat'
          ? 'Enter sends, Shift + Enter starts a new line.'
          : 'Ctrl + Enter continues the text.'}
      </p>
    </form>
  );
}

function numbersOf({ temperature, maxTokens, seed }: Settings) {
  return {
    temperature: Number(temperature),
    maxTokens: Number(maxTokens),
    seed: seed === '' ? undefined : Number(seed),
  };
}
