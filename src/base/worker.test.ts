import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spawnWorker } from './worker.ts';

describe('spawnWorker', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'dabarex worker-'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['worker.ts', ': number', "import { double } from './double.ts';"],
    ['worker.js', '', 'const double = (x) => 2 * x;'],
  ])('runs %s, with its imports and its data', async (name, type, imports) => {
    writeFileSync(join(folder, 'double.ts'), 'export const double = (x: number): number => 2 * x;');
    const code = `import { parentPort, workerData } from 'node:worker_threads';\n${imports}
      const value${type} = double(workerData); parentPort.postMessage(value);`;
    writeFileSync(join(folder, name), code);
    const worker = spawnWorker(pathToFileURL(join(folder, name)), { workerData: 21 });
    const [answer] = await once(worker, 'message');
    expect(answer).toBe(42);
    await worker.terminate();
  });
});
