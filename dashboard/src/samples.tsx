/** What the model wrote as it learnt, the newest first. */
import { useState } from 'react';
import type { RunEvent, RunStatus } from '../../src/runs/index.ts';
import { Echo } from './answers.tsx';

const SHOWN = 4;

type Sample = Extract<RunEvent, { type: 'sample' }>;

export function Samples({ events, status }: { events: readonly RunEvent[]; status: RunStatus | undefined }) {
  const [all, setAll] = useState(false);
  const samples = samplesOf(events);
  return (
    <section className={samples.length === 0 ? 'card empty' : 'card'} aria-label="Samples">
      <h2>Samples</h2>
      {samples.length === 0 && (
        <p>{status?.stage === 'train' ? 'None written yet.' : 'Come with training.'}</p>
      )}
      <ul className="samples" data-testid="samples">
        {samples.slice(0, all ? undefined : SHOWN).map((sample) => (
          <li key={`${sample.step} ${sample.prompt}`}>
            <p className="soft">step {sample.step.toLocaleString('en')}</p>
            <p className="generated">
              <Echo prompt={sample.prompt} />
              {withoutPrompt(sample)}
            </p>
          </li>
        ))}
      </ul>
      {samples.length > SHOWN && (
        <button type="button" className="plain" onClick={() => setAll(!all)}>
          {all ? 'Show the newest only' : `Show all ${samples.length}`}
        </button>
      )}
    </section>
  );
}

/** Of a step that was done twice (after a resume), the later sample. */
function samplesOf(events: readonly RunEvent[]): Sample[] {
  const samples = new Map<string, Sample>();
  for (const event of events) {
    if (event.type === 'sample') samples.set(`${event.step} ${event.prompt}`, event);
  }
  return [...samples.values()].sort((a, b) => b.step - a.step);
}

function withoutPrompt({ prompt, text }: Sample): string {
  return prompt !== '' && text.startsWith(prompt) ? text.slice(prompt.length) : text;
}
