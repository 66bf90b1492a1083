/** Saves checkpoints of the run named by its argument until it is killed; prints a line once it is under way. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  latestCheckpoint,
  pruneCheckpoints,
  saveCheckpoint,
  writeSafetensors,
} from '../../src/checkpoint/index.ts';

const run = process.argv[2]!;
for (let step = (latestCheckpoint(run)?.step ?? 0) + 1; ; step++) {
  saveCheckpoint(run, step, (dir) => {
    const tensor = (name: string) =>
      ({ name, dtype: 'F32', shape: [100_000], data: () => new Float32Array(100_000).fill(step) }) as const;
    const weights = writeSafetensors(join(dir, 'model.safetensors'), [tensor('a'), tensor('b')]);
    mkdirSync(join(dir, 'training'));
    writeSafetensors(join(dir, 'training', 'optimizer.safetensors'), [tensor('m')]);
    return { 'model.safetensors': weights };
  });
  pruneCheckpoints(run, 2);
  process.stdout.write('saved\n');
}
