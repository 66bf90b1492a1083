/**
 * What a checkpoint of a run holds: a model folder (Hugging Face's names), and beside it in training/ all that the next
 * step depends on: the optimizer's arrays and the positions in run and data. A resumed run is the same to the bit.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseConfig, writeFileAtomic } from '../../base/index.ts';
import {
  checkTensors,
  latestCheckpoint,
  pruneCheckpoints,
  readSafetensors,
  saveCheckpoint,
  writeSafetensors,
} from '../../checkpoint/index.ts';
import { readWeights, saveModelFolder, type Transformer } from '../../model/index.ts';
import type { Optimizer } from '../../optim/index.ts';
import type { StreamingDataset, StreamingState } from '../../stream/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { Position } from '../../train/index.ts';

/** Everything that training changes. */
export interface TrainingParts {
  readonly model: Transformer;
  readonly optimizer: Optimizer;
  readonly data: StreamingDataset;
  readonly tokenizer: Tokenizer;
}

const stateSchema = z.object({
  step: z.number().int().nonnegative(),
  tokens: z.number().nonnegative(),
  trainingSeconds: z.number().nonnegative(),
  progress: z.number().min(0).max(1),
  data: z.custom<StreamingState>((value) => typeof value === 'object' && value !== null),
});

export type ResumePoint = z.infer<typeof stateSchema> & { readonly dir: string };

/** Saves a checkpoint, then removes old ones. @returns its folder */
export function saveTraining(
  runDir: string,
  parts: TrainingParts,
  position: Position,
  keepLast: number,
): string {
  const { model, optimizer, data, tokenizer } = parts;
  const dir = saveCheckpoint(runDir, position.step, (folder) => {
    saveModelFolder(folder, model, tokenizer);
    const training = join(folder, 'training');
    mkdirSync(training);
    const arrays = optimizer.state.map(({ name, data: values }) => ({
      name,
      dtype: 'F32' as const,
      shape: [values.length],
      data: values as Float32Array,
    }));
    writeSafetensors(join(training, 'optimizer.safetensors'), arrays);
    const state = { ...position, data: data.state() };
    writeFileAtomic(join(training, 'state.json'), `${JSON.stringify(state, null, 2)}\n`);
  });
  pruneCheckpoints(runDir, keepLast);
  return dir;
}

/** Where the newest checkpoint of a run stands, without loading it. @throws checkpoint_incomplete, config_invalid */
export function findResumePoint(runDir: string): ResumePoint | undefined {
  const latest = latestCheckpoint(runDir);
  if (!latest) return undefined;
  const path = join(latest.dir, 'training', 'state.json');
  return { ...parseConfig(stateSchema, JSON.parse(readFileSync(path, 'utf8')), path), dir: latest.dir };
}

/** Fills model, optimizer and data from a checkpoint. @throws checkpoint_mismatch, safetensors_invalid */
export function restoreTraining({ dir, data: state }: ResumePoint, parts: TrainingParts): void {
  readWeights(parts.model, join(dir, 'model.safetensors'));
  const path = join(dir, 'training', 'optimizer.safetensors');
  const file = readSafetensors(path);
  try {
    checkTensors(file, new Map(parts.optimizer.state.map(({ name, data }) => [name, [data.length]])));
    for (const { name, data } of parts.optimizer.state) data.set(file.read(name));
  } finally {
    file.close();
  }
  parts.data.restore(state);
}
