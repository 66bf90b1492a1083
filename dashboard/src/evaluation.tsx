/** The held-out evaluation, beside what `xz -9e` makes of the same bytes. */
import type { DomainEvaluation, RunEvent, RunStatus } from '../../src/runs/index.ts';

export function Evaluation({
  events,
  status,
}: {
  events: readonly RunEvent[];
  status: RunStatus | undefined;
}) {
  const evaluation = events.findLast((event) => event.type === 'evaluation');
  const rows = evaluation?.type === 'evaluation' ? Object.entries(evaluation.domains) : [];
  if (evaluation?.type !== 'evaluation' || rows.length === 0) {
    return (
      <section className="card empty" aria-label="Evaluation">
        <h2>Evaluation</h2>
        <p>{status?.state === 'evaluating' ? 'At work.' : 'Follows when training is done.'}</p>
      </section>
    );
  }
  return (
    <section className="card" aria-label="Evaluation">
      <h2>Evaluation</h2>
      <p className="soft">Held-out text at step {evaluation.step.toLocaleString('en')}; lower is better.</p>
      <table className="figures-table" data-testid="evaluation">
        <thead>
          <tr>
            <th scope="col">domain</th>
            <th scope="col">bits per byte</th>
            <th scope="col">xz -9e</th>
            <th scope="col">against xz</th>
            <th scope="col">nats</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([domain, values]) => (
            <EvaluationRow key={domain} domain={domain} {...values} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function EvaluationRow({
  domain,
  bits_per_byte,
  loss_nats,
  xz_bits_per_byte,
}: DomainEvaluation & { domain: string }) {
  const change = xz_bits_per_byte === undefined ? undefined : bits_per_byte / xz_bits_per_byte - 1;
  return (
    <tr>
      <th scope="row">{domain}</th>
      <td>
        <strong>{bits_per_byte.toFixed(3)}</strong>
      </td>
      <td>{xz_bits_per_byte?.toFixed(3) ?? '–'}</td>
      <td className={change === undefined ? '' : change < 0 ? 'better' : 'worse'}>
        {change === undefined ? '–' : `${change < 0 ? '−' : '+'}${Math.abs(change * 100).toFixed(0)} %`}
      </td>
      <td>{loss_nats.toFixed(3)}</td>
    </tr>
  );
}
