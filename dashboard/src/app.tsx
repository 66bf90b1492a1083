/** The page: one run, from its first byte of text to the chat with its model. */
import { useEffect, useState } from 'react';
import type { RunListEntry } from '../../src/runs/index.ts';
import { activityOf } from './activity.ts';
import { Chat } from './chat.tsx';
import { Curves } from './curves.tsx';
import { Evaluation } from './evaluation.tsx';
import { ExpertLoad } from './expert-load.tsx';
import { PageHeader } from './header.tsx';
import { type LiveRun, useDetail, useLiveRun, useModel, useRuns } from './live.ts';
import { RunProgressPanel } from './progress.tsx';
import { Samples } from './samples.tsx';
import { useTheme } from './theme.ts';
import { Timeline } from './timeline.tsx';

export function App() {
  const [theme, swapTheme] = useTheme();
  const runs = useRuns();
  const [chosen, setChosen] = useState(() => decodeURIComponent(location.hash.slice(1)) || undefined);
  const model = useModel();
  const has = (name: string | undefined) => runs?.some((run) => run.name === name);
  const name = [chosen, model?.id].find(has) ?? runs?.[0]?.name;
  const run = useLiveRun(name);
  const detail = useDetail(name);
  useEffect(() => {
    document.title = name ? `${name} · dabarex` : 'dabarex';
  }, [name]);
  const choose = (next: string): void => {
    setChosen(next);
    history.replaceState(null, '', `#${encodeURIComponent(next)}`);
  };
  return (
    <>
      <PageHeader {...{ runs, name, choose, run, theme, swapTheme }} served={model?.id} />
      <main>
        {run.connection === 'lost' && (
          <p className="notice" role="status">
            The connection to the server is lost. The page tries again and goes on where it was.
          </p>
        )}
        {name === undefined ? (
          <NoRun asked={runs !== undefined} />
        ) : (
          <>
            <RunProgressPanel run={run} detail={detail} />
            {model && <Chat model={model} shownRun={name} />}
            {model === null && <ModelWaits name={name} run={run} runs={runs} />}
            <Curves run={run} theme={theme} />
            <div className="columns">
              <div className="column">
                <ExpertLoad metrics={run.metrics} status={run.status} />
                <Timeline events={run.events} />
              </div>
              <div className="column">
                <Samples events={run.events} status={run.status} />
                <Evaluation events={run.events} status={run.status} />
              </div>
            </div>
          </>
        )}
        {name === undefined && model && <Chat model={model} shownRun={undefined} />}
      </main>
    </>
  );
}

/** In the place of the box to try the model: what the run at work is doing until there is one. */
function ModelWaits({
  name,
  run,
  runs,
}: {
  name: string;
  run: LiveRun;
  runs: readonly RunListEntry[] | undefined;
}) {
  const other = runs?.find((each) => each.status.alive);
  const [who, status] = run.status?.alive ? [name, run.status] : [other?.name, other?.status];
  return (
    <section className="card empty" aria-label="Try the model" aria-live="polite">
      <h2>Try the model</h2>
      <p data-testid="model-waits">
        {status
          ? `The model of ${who} is not ready yet: ${activityOf(status)}.`
          : 'The model is not ready yet: it is being loaded.'}
      </p>
      {status && status.state !== 'serving' && <p>When it is trained you can try it here.</p>}
    </section>
  );
}

function NoRun({ asked }: { asked: boolean }) {
  return (
    <section className="card empty">
      <p>
        {asked ? 'There is no run yet. Start one and it appears here.' : 'Asking the server for its runs…'}
      </p>
      {asked && <pre>npx dabarex up quickstart</pre>}
    </section>
  );
}
