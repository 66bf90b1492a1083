import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createProgressDisplay, fitLine } from './progress.ts';

function display() {
  const written: string[] = [];
  const clock = { ms: 0 };
  const stream = { isTTY: false, write: (text: string) => written.push(text) };
  const progress = createProgressDisplay(stream as unknown as NodeJS.WriteStream, () => clock.ms);
  return { written, clock, progress };
}

describe('progress without a terminal', () => {
  it('writes a line at the start, every five seconds and at the end', () => {
    const { written, clock, progress } = display();
    for (let done = 0; done <= 100; done++) {
      clock.ms = done * 120;
      progress.update({ stage: 'train', done, total: 100, unit: 'steps' }, `loss ${done}`);
    }
    expect(written).toEqual([
      'train 0% 0 / 100 steps loss 0\n',
      'train 42% 42 / 100 steps 7 s left loss 42\n',
      'train 84% 84 / 100 steps 2 s left loss 84\n',
      'train 100% 100 / 100 steps in 12 s loss 100\n',
    ]);
  });

  it('keeps stages apart, shows bytes, and an unknown total', () => {
    const { written, progress } = display();
    progress.onProgress({ stage: 'download', done: 1_200_000, total: 2_400_000, unit: 'bytes' });
    progress.onProgress({ stage: 'clean', done: 12, total: 0, unit: 'documents' });
    progress.log('a word');
    expect(written).toEqual(['download 50% 1.20 MB / 2.40 MB\n', 'clean 12 documents\n', 'a word\n']);
  });
});

it('the time left counts from where this process began', () => {
  const { written, clock, progress } = display();
  progress.update({ stage: 'train', done: 900, total: 1000, unit: 'steps' });
  clock.ms = 10_000;
  progress.update({ stage: 'train', done: 910, total: 1000, unit: 'steps' });
  expect(written[1]).toBe('train 91% 910 / 1.00 k steps 1 min 30 s left\n');
});

const training = { stage: 'train', done: 630_000, total: 1_500_000, unit: 'tokens' };
const note = 'loss 3.412, 1.234 bits/byte, 5.10 k tok/s, MFU 31 %, lr 3.0e-3';

const timing = '3 min 05 s left';

it.each([
  [40, 'train 42% 3 min 05 s left loss 3.412'],
  [60, 'train █████████░░░░░░░░░░░░░ 42% 3 min 05 s left loss 3.412'],
])('at %d columns what matters most is shown', (columns, line) => {
  expect(fitLine(training, note, timing, columns - 1)).toBe(line);
});

it('the line fits every width, and shows the loss from 40 columns', () => {
  for (let columns = 10; columns < 200; columns++) {
    const line = fitLine(training, note, timing, columns);
    expect(line.length).toBeLessThanOrEqual(columns);
    if (columns >= 39) expect(line).toContain('loss 3.412');
  }
});

/** Runs a command in a terminal of the given columns and prints what it wrote there. */
const PSEUDO_TERMINAL = `
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
while True:
    try: data = os.read(terminal, 65536)
    except OSError: break
    if not data: break
    os.write(1, data)
os.waitpid(pid, 0)
`;

const hasTerminal = spawnSync('python3', ['-c', 'import pty']).status === 0;
const LONG = `a long line ${'word '.repeat(20)}and its end`;

/** The screen after a program has drawn progress on a terminal. */
function screenOf(columns: number, statements: string): string[] {
  const module = new URL('./progress.ts', import.meta.url).href;
  const program = `import { createProgressDisplay } from ${JSON.stringify(module)};
    const progress = createProgressDisplay(process.stderr, () => 0);
    ${statements}`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', program];
  const { stdout } = spawnSync('python3', ['-c', PSEUDO_TERMINAL, String(columns), ...node], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
  });
  return emulate(stdout, columns);
}

/** Rows of a terminal that knows line ends, wrapping, cursor up and erase. */
function emulate(output: string, columns: number): string[] {
  const rows = [''];
  let row = 0;
  let column = 0;
  for (const [token] of output.replaceAll('\x1b', '␛').matchAll(/␛\[(\d*)([AJK])|./gsu)) {
    const control = /^␛\[(\d*)([AJK])$/.exec(token);
    if (control?.[2] === 'A') row -= Number(control[1]);
    else if (control) {
      rows.splice(row + 1);
      rows[row] = rows[row]!.slice(0, column);
    } else if (token === '\r') column = 0;
    else if (token === '\n') row++;
    else {
      if (column === columns) [row, column] = [row + 1, 0];
      rows[row] ??= '';
      rows[row] = rows[row]!.padEnd(column).slice(0, column) + token + rows[row]!.slice(column + 1);
      column++;
    }
    rows[row] ??= '';
  }
  return rows;
}

describe.skipIf(!hasTerminal)('progress on a terminal (python3 gives one)', { timeout: 60_000 }, () => {
  const statements = `
    progress.update({ stage: 'prepare', done: 0, total: 5, unit: 'domains' });
    progress.log(${JSON.stringify(LONG)});
    progress.update({ stage: 'prepare', done: 5, total: 5, unit: 'domains' });
    progress.update(${JSON.stringify(training)}, ${JSON.stringify(note)});
    progress.log('above');`;

  it.each([40, 80])('at %d columns one line changes, and what is printed above it is whole', (columns) => {
    const rows = screenOf(columns, statements);
    const wrapped = LONG.match(new RegExp(`.{1,${columns}}`, 'g'))!;
    expect(rows.slice(0, -1)).toEqual([...wrapped, 'prepare 100% 5 / 5 domains in 0 s', 'above']);
    expect(rows.at(-1)).toMatch(/^train .*42%.* loss 3\.412/);
    expect(rows.at(-1)!.length).toBeLessThan(columns);
  });

  it('no bar is left when it stops, and what comes next stands on a line of its own', () => {
    const rows = screenOf(100, `${statements} progress.stop(); console.log('a table');`);
    expect(rows.slice(2)).toEqual([
      'prepare 100% 5 / 5 domains in 0 s',
      'above',
      `train 42% 630 k / 1.50 M tokens ${note}`,
      'a table',
      '',
    ]);
  });
});
