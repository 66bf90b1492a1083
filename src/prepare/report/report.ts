/** The report of a prepared corpus, for people: how much each stage removed and why, with examples. */
import { join } from 'node:path';
import { readJsonFile } from '../../base/index.ts';
import type { CorpusManifest, StageCount, StageReport, StageTime } from '../corpus-report.ts';
import type { ChangeSample, RejectSample, Size } from '../pipeline/tally.ts';
import { bars, legend } from './figures.ts';
import { type Html, html } from './html.ts';
import { page } from './page.ts';

/** The report of the corpus in `documentsDir` as one HTML page, of whose data nothing can run. @param title e.g. the recipe's name */
export function renderReport(title: string, documentsDir: string, manifest: CorpusManifest): string {
  const times = readTimes(documentsDir);
  const body = html`<h1>${title}: preparation</h1>
<p class="soft">Documents <code>${manifest.key.slice(0, 16)}</code> in <code>${documentsDir}</code></p>
${totals(manifest)}
<h2>What each stage kept and removed</h2>
${flow(manifest.stages)}
<h2>Why documents were removed</h2>
${reasons(manifest.stages)}
<h2>By stage and domain</h2>
${stageTable(manifest.stages)}
${surveys(manifest.stages)}
<h2>The corpus</h2>
${corpusTable(manifest)}
${times.length > 0 ? html`<h2>Time by stage</h2>\n<p class="soft">Of all threads and tasks together.</p>\n${timeBars(times)}` : ''}
<h2>Texts before and after</h2>
${changes(manifest.stages)}
<h2>Examples of what was removed</h2>
${rejected(manifest.stages)}
<h2>Settings</h2>
<details><summary>data: of the recipe</summary><pre>${JSON.stringify(manifest.config, null, 2)}</pre></details>`;
  return page(`${title}: preparation`, body);
}

function readTimes(documentsDir: string): StageTime[] {
  const times = readJsonFile<unknown>(join(documentsDir, 'times.json'));
  return Array.isArray(times) ? times : [];
}

function totals({ domains, stages }: CorpusManifest): Html {
  const all = Object.values(domains);
  const train = sumOf(all.map((each) => each.train));
  const heldout = sumOf(all.map((each) => each.heldout));
  const [came] = [sumOf(countsOf(stages[0]!).map((each) => each.in))];
  const read = sumOf(countsOf(stages[0]!).map((each) => each.out));
  const share = read.bytes > 0 ? (train.bytes + heldout.bytes) / read.bytes : 0;
  const card = (value: string, what: string) => html`<div class="card"><b>${value}</b>${what}</div>`;
  return html`<div class="cards">
${card(bytes(came.bytes), `read, ${count(came.documents)} files or rows`)}
${card(bytes(read.bytes), `of text in ${count(read.documents)} documents`)}
${card(bytes(train.bytes), `to train on, ${count(train.documents)} documents`)}
${card(bytes(heldout.bytes), `held out, ${count(heldout.documents)} documents`)}
${card(percent(share), 'of the text was kept')}
</div>`;
}

function flow(stages: readonly StageReport[]): Html {
  const rows = stages.slice(1).map((stage) => {
    const counts = countsOf(stage);
    const came = sumOf(counts.map((each) => each.in));
    const out = sumOf(counts.map((each) => each.out));
    const gone = Math.max(0, came.bytes - out.bytes);
    const text = `${bytes(out.bytes)} kept, ${gone > 0 ? `-${percent(gone / came.bytes)}` : 'nothing removed'}`;
    const kept = Math.min(out.bytes, came.bytes);
    return {
      label: stage.stage,
      parts: [
        { value: kept, colour: 'kept' as const },
        { value: gone, colour: 'gone' as const },
      ],
      text,
    };
  });
  return html`${legend([
    ['kept', 'bytes kept'],
    ['gone', 'bytes removed, whole documents or parts of them'],
  ])}${bars('bytes by stage', rows)}`;
}

function reasons(stages: readonly StageReport[]): Html {
  const rows = stages.flatMap((stage) =>
    Object.entries(rejectsOf(stage)).map(([reason, size]) => ({
      label: `${stage.stage}: ${words(reason)}`,
      parts: [{ value: size.documents, colour: 'gone' as const }],
      text: `${count(size.documents)}, ${bytes(size.bytes)}`,
    })),
  );
  return rows.length > 0 ? bars('documents removed by reason', rows) : html`<p>No document was removed.</p>`;
}

function stageTable(stages: readonly StageReport[]): Html {
  const rows = stages.flatMap((stage) =>
    Object.entries(stage.domains).map(
      ([domain, each], at) => html`<tr><td>${at === 0 ? stage.stage : ''}</td><td>${domain}</td>
<td class="r">${count(each.in.documents)}</td><td class="r">${bytes(each.in.bytes)}</td>
<td class="r">${count(each.out.documents)}</td><td class="r">${bytes(each.out.bytes)}</td><td class="r">${count(each.changed)}</td>
<td>${why(each)}</td></tr>
`,
    ),
  );
  return html`<div class="wide"><table><thead><tr><th>stage</th><th>domain</th><th class="r">in</th><th class="r">bytes</th><th class="r">out</th>
<th class="r">bytes</th><th class="r">changed</th><th>removed, and what was found</th></tr></thead><tbody>
${rows}</tbody></table></div>`;
}

function why({ rejects, counts }: StageCount): string {
  const removed = Object.entries(rejects).map(
    ([reason, { documents }]) => `${words(reason)} ${count(documents)}`,
  );
  const found = Object.entries(counts).map(([name, value]) => `${words(name)}: ${count(value)}`);
  return [...removed, ...found].join('; ');
}

/** What stages found out about the whole corpus, or their model, before they were applied. */
function surveys(stages: readonly StageReport[]): Html | undefined {
  const rows = stages.flatMap(({ stage, figures = {} }) =>
    Object.entries(figures).map(
      ([name, value], at) => html`<tr><td>${at === 0 ? stage : ''}</td><td>${words(name)}</td>
<td class="r">${figure(value)}</td></tr>
`,
    ),
  );
  if (rows.length === 0) return undefined;
  return html`<h2>What surveys found</h2>
<div class="wide"><table><thead><tr><th>stage</th><th>figure</th><th class="r">value</th></tr></thead><tbody>
${rows}</tbody></table></div>`;
}

function corpusTable({ domains }: CorpusManifest): Html {
  const rows = Object.entries(domains).flatMap(([name, domain]) => [
    row(html`<b>${name}</b>`, domain.train, domain.heldout),
    ...domain.sources.map((source) => row(html`<code>${source.url}</code>`, source.train, source.heldout)),
  ]);
  return html`<div class="wide"><table><thead><tr><th>domain and sources</th><th class="r">train</th><th class="r">bytes</th>
<th class="r">held out</th><th class="r">bytes</th></tr></thead><tbody>
${rows}</tbody></table></div>`;
}

function row(head: Html, train: Size, heldout: Size): Html {
  return html`<tr><td>${head}</td><td class="r">${count(train.documents)}</td><td class="r">${bytes(train.bytes)}</td>
<td class="r">${count(heldout.documents)}</td><td class="r">${bytes(heldout.bytes)}</td></tr>
`;
}

function timeBars(times: readonly StageTime[]): Html {
  const rows = times.map(({ stage, seconds }) => ({
    label: stage,
    parts: [{ value: seconds, colour: 'other' as const }],
    text: `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`,
  }));
  return bars('seconds by stage', rows);
}

function changes(stages: readonly StageReport[]): Html {
  const changing = stages.filter((stage) => stage.changed.length > 0);
  if (changing.length === 0) return html`<p>No stage changed a text.</p>`;
  return html`${changing.map((stage) => {
    const changed = countsOf(stage).reduce((sum, each) => sum + each.changed, 0);
    return html`<details open><summary>${stage.stage} <span class="soft">changed ${count(changed)} documents</span></summary>
${stage.changed.map(changeSample)}</details>
`;
  })}`;
}

function changeSample({ id, source, path, before, after }: ChangeSample): Html {
  return html`${origin(id, source, path)}
<div class="pair"><pre>${marked(before, after)}</pre><pre>${marked(after, before)}</pre></div>
`;
}

/** A text with what the other has not in the same place marked; spaces in it can be seen. */
function marked(text: string, other: string): Html {
  const most = Math.min(text.length, other.length);
  let start = 0;
  while (start < most && text[start] === other[start]) start++;
  let end = 0;
  while (end < most - start && text.at(-1 - end) === other.at(-1 - end)) end++;
  const changed = text.slice(start, text.length - end);
  const seen = changed.trim() === '' ? changed.replaceAll(' ', '·').replaceAll('\n', '↵\n') : changed;
  return html`${text.slice(0, start)}<mark>${seen}</mark>${text.slice(text.length - end)}`;
}

function rejected(stages: readonly StageReport[]): Html {
  const all = stages.flatMap((stage) =>
    Object.entries(stage.rejected).map(([reason, samples]) => ({ stage, reason, samples })),
  );
  if (all.length === 0) return html`<p>No document was removed.</p>`;
  return html`${all.map(
    ({
      stage,
      reason,
      samples,
    }) => html`<details><summary>${stage.stage}: ${words(reason)} <span class="soft">${count(
      rejectsOf(stage)[reason]?.documents ?? 0,
    )} documents</span></summary>
${samples.map(rejectSample)}</details>
`,
  )}`;
}

function rejectSample({ id, source, path, text, detail }: RejectSample): Html {
  return html`${origin(id, source, path)}${detail !== undefined && html`<p><mark>${detail}</mark></p>`}
<pre>${text}</pre>
`;
}

function origin(id: string, source: string, path: string): Html {
  return html`<p class="soft"><code>${path}</code> of <code>${source}</code>, document <code>${id.slice(0, 12)}</code></p>`;
}

function countsOf({ domains }: StageReport): StageCount[] {
  return Object.values(domains);
}

function rejectsOf(stage: StageReport): Record<string, Size> {
  const all: Record<string, Size> = {};
  for (const { rejects } of countsOf(stage)) {
    for (const [reason, size] of Object.entries(rejects)) all[reason] = sumOf([all[reason] ?? NONE, size]);
  }
  return all;
}

const NONE: Size = { documents: 0, bytes: 0 };

function sumOf(sizes: readonly Size[]): Size {
  return sizes.reduce(
    (sum, each) => ({ documents: sum.documents + each.documents, bytes: sum.bytes + each.bytes }),
    NONE,
  );
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function figure(value: number): string {
  return Number.isInteger(value) ? count(value) : value.toFixed(4);
}

function percent(share: number): string {
  const value = 100 * share;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value >= 0.1 ? value.toFixed(1) : '<0.1'} %`;
}

function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000;
    at++;
  }
  return `${at === 0 || value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${units[at]}`;
}
