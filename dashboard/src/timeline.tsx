/** What happened, the newest first. */
import type { RunEvent } from '../../src/runs/index.ts';
import { formatDuration, formatPercent, formatTime } from './format.ts';

export function Timeline({ events }: { events: readonly RunEvent[] }) {
  const told = events
    .map((event, index) => ({ id: index, time: event.time, text: textOf(event) }))
    .filter(({ text }) => text !== '');
  return (
    <section className="card events" aria-label="Events">
      <h2>Events</h2>
      {told.length === 0 && <p className="soft">Nothing yet.</p>}
      <ol className="timeline" data-testid="timeline">
        {told.reverse().map(({ id, time, text }) => (
          <li key={id}>
            <time dateTime={time}>{formatTime(time)}</time>
            <span>{text}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function textOf(event: RunEvent): string {
  switch (event.type) {
    case 'run_started':
      return 'Run started';
    case 'run_resumed':
      return 'Run resumed';
    case 'run_interrupted':
      return 'Run interrupted';
    case 'run_completed':
      return 'Run completed';
    case 'run_failed':
      return `Run failed: ${event.message} (${event.code})`;
    case 'stage_started':
      return `Stage ${event.stage} started`;
    case 'stage_completed':
      return `Stage ${event.stage} completed in ${formatDuration(event.seconds)}`;
    case 'checkpoint_saved':
      return `Checkpoint saved at step ${event.step.toLocaleString('en')}`;
    case 'evaluation':
      return `Evaluated at step ${event.step.toLocaleString('en')}`;
    case 'phase_started':
      return `Data phase ${event.phase}: ${weightsText(event.weights)}`;
    default:
      return '';
  }
}

function weightsText(weights: Readonly<Record<string, number>>): string {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0) || 1;
  return Object.entries(weights)
    .map(([domain, weight]) => `${domain} ${formatPercent(weight / total, 0)}`)
    .join(', ');
}
