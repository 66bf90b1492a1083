/** Does the tasks of its argument in a process that a test may kill, bound or run as another user; prints their progress and how each ended. */
import { DabarexError } from '../../src/base/index.ts';
import { type PrepareTask, runTask } from './prepare-tasks.ts';

const tell = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

for (const task of JSON.parse(process.argv[2]!) as PrepareTask[]) {
  try {
    await runTask(task, ({ stage, done }) => tell({ stage, done }));
    tell({ ended: 'done' });
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    tell({ ended: error.code, message: error.message });
  }
}
