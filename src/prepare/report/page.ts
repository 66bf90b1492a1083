/** The frame of the report: one file, no script, light and dark, one column on a phone. */
import { type Html, html } from './html.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1d1f24; --soft: #5c6370; --line: #d9dce1; --page: #fbfbfa; --card: #fff;
  --kept: #3f7f5f; --gone: #c8553d; --other: #5b7db1; --code: #f3f4f2; --mark: #f0e6c8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6ea; --soft: #9aa2af; --line: #34383f; --page: #16181c; --card: #1e2126;
  --kept: #6fb48f; --gone: #e58468; --other: #8aa9dc; --code: #16181c; --mark: #4a4326; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); } code { overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.2rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.bars { display: grid; grid-template-columns: minmax(7rem, 14rem) 1fr minmax(6rem, auto); gap: .35rem .8rem; align-items: center; }
.bars > span { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; } .bars > .number { text-align: right; }
.bars svg { display: block; width: 100%; height: 1rem; } .kept { fill: var(--kept); } .gone { fill: var(--gone); } .other { fill: var(--other); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .3rem 0 .7rem; color: var(--soft); font-size: .9rem; }
.legend svg { width: .8rem; height: .8rem; margin-right: .35rem; vertical-align: -.05rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } .r { text-align: right; white-space: nowrap; }
details { border: 1px solid var(--line); border-radius: .5rem; background: var(--card); margin: .5rem 0; padding: .5rem .9rem; }
summary { cursor: pointer; font-weight: 600; } summary .soft { font-weight: 400; }
pre { background: var(--code); border: 1px solid var(--line); border-radius: .35rem; padding: .6rem; margin: .3rem 0 .8rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .82rem/1.45 ui-monospace, monospace; max-height: 18rem; overflow-y: auto; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; } mark { background: var(--mark); color: inherit; }
@media (max-width: 40rem) { .pair { grid-template-columns: 1fr; gap: 0; }
  .bars { grid-template-columns: 1fr auto; grid-auto-flow: dense; gap: .1rem .8rem; }
  .bars svg { grid-column: 1 / -1; margin-bottom: .5rem; } .bars > .number { grid-column: 2; } .bars > .label { grid-column: 1; } }
`;

/** A whole page; nothing in it can run or be fetched, which its policy says too. */
export function page(title: string, body: Html): string {
  const whole = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>`;
  return `${whole.text}${STYLE}</style>\n</head>\n<body>\n${body.text}\n</body>\n</html>\n`;
}
