/** Where the text or the message is written, the settings, and the buttons. */
import type { FormEvent, KeyboardEvent } from 'react';

export type Mode = 'complete' | 'chat';

export interface Settings {
  readonly temperature: string;
  readonly maxTokens: string;
  readonly seed: string;
}

interface PromptFormProps {
  readonly mode: Mode;
  readonly input: string;
  readonly setInput: (text: string) => void;
  readonly settings: Settings;
  readonly setSettings: (settings: Settings) => void;
  readonly send: () => void;
  readonly stop: () => void;
  /** begins anew: `New chat`, `Start over`; undefined where there is nothing to leave */
  readonly restart: (() => void) | undefined;
  readonly busy: boolean;
}

export function PromptForm(props: PromptFormProps) {
  const { mode, input, setInput, settings, setSettings, send, stop, restart, busy } = props;
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
        <SettingFields settings={settings} setSettings={setSettings} />
        {restart && (
          <button type="button" onClick={restart}>
            {mode === 'chat' ? 'New chat' : 'Start over'}
          </button>
        )}
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
          : 'Ctrl + Enter continues the text, and then what the model wrote.'}
      </p>
    </form>
  );
}

const FIELDS: readonly (readonly [
  key: keyof Settings,
  label: string,
  limits: { min: number; max?: number; step: number | 'any' },
])[] = [
  ['temperature', 'Temperature', { min: 0, max: 2, step: 'any' }],
  ['maxTokens', 'Max tokens', { min: 1, step: 1 }],
  ['seed', 'Seed', { min: 0, step: 1 }],
];

function SettingFields({ settings, setSettings }: Pick<PromptFormProps, 'settings' | 'setSettings'>) {
  return FIELDS.map(([key, label, limits]) => (
    <label key={key} className="setting">
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
  ));
}

/** The settings as a request has them. */
export function numbersOf({ temperature, maxTokens, seed }: Settings) {
  return {
    temperature: Number(temperature),
    maxTokens: Number(maxTokens),
    seed: seed === '' ? undefined : Number(seed),
  };
}
