/** The page: one run, from its first byte of text to the chat with its model. */
import { useEffect, useState } from 'react';
import { Chat } from './chat.tsx';
import { Curves } from './curves.tsx';
import { Evaluation } from './evaluation.tsx';
import { ExpertLoad } from './expert-load.tsx';
import { PageHeader } from './header.tsx';
import { useDetail, useLiveRun, useModel, useRuns } from './live.ts';
import { RunProgressPanel } from './progress.tsx';
import { Samples } from './samples.tsx';
import { useTheme } from './theme.ts';
import { Timeline } from './timeline.tsx';

export function App() {
  const [theme, swapTheme] = useTheme();
  const runs = useRuns();
  const [chosen, setChosen] = useState(() => decodeURIComponent(location.hash.slice(1)) || undefined);
  const name = runs?.some((run) => run.name === chosen) ? chosen : runs?.[0]?.name;
  const run = useLiveRun(name);
  const detail = useDetail(name);
  const model = useModel();
  useEffect(() => {
    document.title = name ? `${name} · dabarex` : 'dabarex';
  }, [name]);
  const choose = (next: string): void => {
    setChosen(next);
    history.replaceState(null, '', `#${encodeURIComponent(next)}`);
  };
  return (
    <>
      <PageHeader {...{ runs, name, choose, run, theme, swapTheme }} />
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
            {model && <Chat model={model} />}
            <Curves run={run} theme={theme} />
            <div className="columns">
              <ExpertLoad metrics={run.metrics} status={run.status} />
              <Samples events={run.events} status={run.status} />
            </div>
            <div className="columns">
              <Evaluation events={run.events} status={run.status} />
              <Timeline events={run.events} />
            </div>
          </>
        )}
        {name === undefined && model && <Chat model={model} />}
      </main>
    </>
  );
}

function NoRun({ asked }: { asked: boolean }) {
  return (
    <section className="card empty">
      <p>
        {asked ? 'There is no run yet. Start one and it appears here.' : 'Asking the server for its runs…'}
      </p>
      {asked && <pre>npx dabarex up recipes/quickstart.yaml</pre>}
    </section>
  );
}
