/**
 * What a checkpoint of a run holds: a model folder (Hugging Face's names), and beside it in training/ all that the next
 * step depends on: the optimizer's arrays and the positions in run and data. A resumed run is the same to the bit.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { DabarexError, fileError, parseConfig, writeFileAtomic } from '../../base/index.ts';
import {
  checkTensors,
  latestCheckpoint,
  pruneCheckpoints,
  readSafetensors,
  saveCheckpoint,
  shapesOf,
  verifyChecksums,
  writeSafetensors,
} from '../../checkpoint/index.ts';
import { readWeights, saveModelFolder, type Transformer } from '../../model/index.ts';
import type { Optimizer } from '../../optim/index.ts';
import { type DataState, dataStateSchema } from '../../stream/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { Mix, Position, StepResult, TrainingState } from '../../train/index.ts';

/** Of the data, a checkpoint needs where it stands. */
export interface DataPosition {
  state(): DataState;
  restore(state: DataState): void;
}

/** Everything that training changes. */
export interface TrainingParts {
  readonly model: Transformer;
  readonly optimizer: Optimizer;
  readonly data: DataPosition;
  readonly tokenizer: Tokenizer;
  /** stands for the documents and the tokenizer behind `data` */
  readonly dataKey: string;
}

const finite = z.number();

const stateSchema = z.strictObject({
  step: z.number().int().nonnegative(),
  tokens: z.number().nonnegative(),
  trainingSeconds: z.number().nonnegative(),
  progress: z.number().min(0).max(1),
  data: dataStateSchema,
  dataKey: z.string(),
  evaluationDue: z.boolean().default(false),
  changedMix: z.record(z.string(), z.number()).nullable().default(null),
  unlogged: z.array(
    z.strictObject({
      lossNats: finite,
      balanceLoss: finite,
      gradNorm: finite,
      learningRate: finite,
      tokens: finite,
      paddingRows: finite.optional(),
      bytes: finite.nonnegative().default(0),
      seconds: finite,
      loaderSeconds: finite,
      expertCounts: z.array(z.array(z.number().int())),
    }),
  ),
});

export interface ResumePoint extends Position {
  readonly dir: string;
  /** why it is not the newest checkpoint */
  readonly reason?: string;
  readonly data: DataState;
  readonly dataKey: string;
  readonly unlogged: readonly StepResult[];
  /** an evaluation of this step was interrupted and has left nothing */
  readonly evaluationDue: boolean;
  /** what holds in place of the curriculum; null: nothing */
  readonly changedMix: Mix | null;
}

/** What {@link saveTraining} saves besides the parts. */
export type SavedState = Pick<TrainingState, 'position' | 'unlogged'> &
  Pick<ResumePoint, 'evaluationDue' | 'changedMix'>;

/** Saves a checkpoint, then removes old ones. @returns its folder @throws disk_full and what else fileError knows */
export function saveTraining(
  runDir: string,
  parts: TrainingParts,
  state: SavedState,
  keepLast: number,
): string {
  try {
    const dir = saveCheckpoint(runDir, state.position.step, (folder) => writeTraining(folder, parts, state));
    pruneCheckpoints(runDir, keepLast);
    return dir;
  } catch (error) {
    throw fileError(error, join(runDir, 'checkpoints'));
  }
}

/** @returns the checksums of the files, as {@link saveCheckpoint} wants them */
function writeTraining(
  folder: string,
  { model, optimizer, data, tokenizer, dataKey }: TrainingParts,
  { position, unlogged, evaluationDue, changedMix }: SavedState,
): ReturnType<typeof saveModelFolder> {
  const checksums = saveModelFolder(folder, model, tokenizer);
  const training = join(folder, 'training');
  mkdirSync(training);
  const arrays = optimizer.state.map(({ name, data: values }) => ({
    name,
    dtype: 'F32' as const,
    shape: [values.length],
    data: values as Float32Array,
  }));
  checksums['training/optimizer.safetensors'] = writeSafetensors(
    join(training, 'optimizer.safetensors'),
    arrays,
  );
  const steps = unlogged.map((each) => ({ ...each, expertCounts: each.expertCounts.map((n) => [...n]) }));
  const rare = { ...(evaluationDue && { evaluationDue }), ...(changedMix && { changedMix }) };
  const state = { ...position, data: data.state(), dataKey, ...rare, unlogged: steps };
  writeFileAtomic(join(training, 'state.json'), `${JSON.stringify(state)}\n`);
  return checksums;
}

/**
 * Where the newest whole checkpoint of a run stands, without loading it; undefined where the run has none.
 * @throws checkpoint_incomplete where none is whole, or its state cannot be read
 */
export function findResumePoint(runDir: string): ResumePoint | undefined {
  const latest = latestCheckpoint(runDir);
  if (!latest) return undefined;
  const { dir, reason } = latest;
  const state = readState(dir, join(dir, 'training', 'state.json'));
  const unlogged = state.unlogged.map((each) => ({
    ...each,
    expertCounts: each.expertCounts.map((counts) => Int32Array.from(counts)),
  }));
  return { ...state, unlogged, dir, reason };
}

function readState(dir: string, path: string): z.infer<typeof stateSchema> {
  try {
    return parseConfig(stateSchema, JSON.parse(readFileSync(path, 'utf8')), path);
  } catch (cause) {
    throw new DabarexError(
      'checkpoint_incomplete',
      `${path} cannot be read: ${(cause as Error).message} To continue from the checkpoint before, remove ${dir}.`,
      { dir, path },
      { cause },
    );
  }
}

/** Which data a checkpoint was trained on. @throws checkpoint_incomplete */
export function dataKeyOf(dir: string): string {
  return readState(dir, join(dir, 'training', 'state.json')).dataKey;
}

/** Fills model, optimizer and data from a checkpoint. @throws checkpoint_corrupt, checkpoint_mismatch, safetensors_invalid */
export function restoreTraining({ dir, data: state, dataKey }: ResumePoint, parts: TrainingParts): void {
  if (dataKey !== parts.dataKey) throw otherDataError(dir);
  verifyChecksums(dir);
  readWeights(parts.model, join(dir, 'model.safetensors'));
  const path = join(dir, 'training', 'optimizer.safetensors');
  const file = readSafetensors(path);
  try {
    const expected = new Map(parts.optimizer.state.map(({ name, data }) => [name, [data.length]]));
    checkTensors(path, shapesOf(file.tensors), expected);
    for (const { name, data } of parts.optimizer.state) data.set(file.read(name));
  } finally {
    file.close();
  }
  parts.data.restore(state);
}

/** What is thrown when a checkpoint and the data at hand do not belong together. */
export function otherDataError(dir: string): DabarexError {
  return new DabarexError(
    'checkpoint_mismatch',
    `${dir} was trained on other text or with another tokenizer than the recipe’s sources give now, so a file of them has ` +
      'changed. Put the old text back to continue, or give the run on the new text another name.',
    { dir },
  );
}
