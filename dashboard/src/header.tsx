/** The bar on top: which run, its state, the connection, the theme. */
import type { RunListEntry, RunState } from '../../src/runs/index.ts';
import type { LiveRun } from './live.ts';
import type { Theme } from './theme.ts';

interface PageHeaderProps {
  readonly runs: readonly RunListEntry[] | undefined;
  readonly name: string | undefined;
  /** the run whose model is served */
  readonly served: string | undefined;
  readonly choose: (name: string) => void;
  readonly run: LiveRun;
  readonly theme: Theme;
  readonly swapTheme: () => void;
}

export function PageHeader({ runs = [], name, served, choose, run, theme, swapTheme }: PageHeaderProps) {
  const state = run.status?.state;
  return (
    <header className="bar">
      <span className="brand">
        <img src="/icon.svg" alt="" width="22" height="22" />
        <span className="brand-name">dabarex</span>
      </span>
      {runs.length > 1 ? (
        <select aria-label="Run" value={name} onChange={(event) => choose(event.target.value)}>
          {runs.map((each) => (
            <option key={each.name} value={each.name}>
              {each.name === served ? `${each.name} (its model answers)` : each.name}
            </option>
          ))}
        </select>
      ) : (
        <h1>{name}</h1>
      )}
      {state && <StateBadge state={state} lost={run.connection === 'lost'} />}
      <button
        type="button"
        className="plain theme"
        onClick={swapTheme}
        aria-label={`Switch to the ${theme === 'dark' ? 'light' : 'dark'} theme`}
      >
        {theme === 'dark' ? '☀' : '☾'}
      </button>
    </header>
  );
}

function StateBadge({ state, lost }: { state: RunState; lost: boolean }) {
  return (
    <span className={`badge ${state}`} data-testid="state">
      {lost ? `${state}, connection lost` : state}
    </span>
  );
}
