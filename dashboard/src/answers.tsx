/** What the model wrote: a text that goes on, or a conversation; and how it ended. */
import type { ChatTurn } from './completion-stream.ts';
import { endOf } from './context-window.ts';
import type { Generation } from './use-generation.ts';

/** Of a long prompt only the end is shown again: the whole stands in the box below. */
const ECHO_CHARACTERS = 200;

interface ContinuationProps {
  readonly prompt: string;
  /** written by earlier generations */
  readonly before: string;
  readonly generation: Generation;
  readonly contextLength: number;
}

export function Continuation({ prompt, before, generation, contextLength }: ContinuationProps) {
  if (prompt === '') return null;
  const whole = prompt.length + before.length;
  const cut = typeof generation.input === 'string' && generation.input.length < whole;
  return (
    <div className="answer" aria-live="polite" aria-busy={generation.running}>
      <p className="generated" data-testid="answer">
        <Echo prompt={prompt} />
        {before}
        {generation.text}
        {generation.running && <span className="caret" />}
      </p>
      {cut && (
        <p className="soft" data-testid="cut">
          The model saw only the end of this text: its context is {contextLength.toLocaleString('en')} tokens.
        </p>
      )}
      <Ending {...generation} contextLength={contextLength} />
    </div>
  );
}

/** The prompt before its continuation; of a long one the end. */
export function Echo({ prompt }: { prompt: string }) {
  if (prompt.length <= ECHO_CHARACTERS) return <span className="prompt">{prompt}</span>;
  const end = endOf(prompt, ECHO_CHARACTERS).replace(/^\S{0,30}\s+/, '');
  return (
    <span className="prompt" title={prompt}>
      … {end}
    </span>
  );
}

interface ConversationProps {
  readonly turns: readonly ChatTurn[];
  /** how many of the first the model no longer sees */
  readonly dropped: number;
  readonly generation: Generation;
  readonly contextLength: number;
}

export function Conversation({ turns, dropped, generation, contextLength }: ConversationProps) {
  const waiting = turns.at(-1)?.role === 'user' && (generation.running || generation.text !== '');
  if (turns.length === 0) {
    return (
      <p className="soft">A model that was only pre-trained continues text; it was not taught to answer.</p>
    );
  }
  return (
    <div className="answer conversation" aria-live="polite" aria-busy={generation.running}>
      <div>
        <Turns turns={turns.slice(0, dropped)} className="dropped" />
        {dropped > 0 && (
          <p className="soft boundary" data-testid="dropped">
            The model no longer sees what is above: with it the conversation is longer than its context,{' '}
            {contextLength.toLocaleString('en')} tokens.
          </p>
        )}
        <Turns turns={turns.slice(dropped)} className="" />
        {waiting && (
          <p className="turn assistant" data-testid="answer">
            {generation.text.trimStart()}
            {generation.running && <span className="caret" />}
          </p>
        )}
        <Ending {...generation} contextLength={contextLength} />
      </div>
    </div>
  );
}

function Turns({ turns, className }: { turns: readonly ChatTurn[]; className: string }) {
  return turns.map((turn, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: turns are only appended
    <p key={i} className={`turn ${turn.role} ${className}`}>
      <span className="hidden">{turn.role === 'user' ? 'You: ' : 'Model: '}</span>
      {turn.content}
    </p>
  ));
}

function Ending({
  running,
  ending,
  tokens,
  totalTokens,
  seconds,
  contextLength,
}: Generation & { contextLength: number }) {
  if (running || (ending === undefined && tokens === undefined)) return null;
  const count = tokens === undefined ? '' : `${tokens} tokens`;
  const rate = tokens && seconds ? `${(tokens / seconds).toFixed(0)} tokens/s` : '';
  const full = totalTokens !== undefined && totalTokens >= contextLength;
  const limit = full
    ? `the context of ${contextLength.toLocaleString('en')} tokens is full`
    : 'ended at the token limit';
  const reason = ending === 'length' ? limit : ending === 'stop' ? 'ended by the model' : ending;
  return <p className="soft">{[count, rate, reason].filter(Boolean).join(' · ')}</p>;
}
