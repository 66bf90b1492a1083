export type { Callback, Metrics, StepResult, TrainingState } from './callback.ts';
export { type TrainConfig, trainConfigSchema } from './config.ts';
export { Curriculum, curriculumSchema, type Mix, normalise, type PhaseConfig } from './curriculum.ts';
export {
  crossed,
  type Duration,
  durationSchema,
  measure,
  type Position,
  parseDuration,
  withoutEpochs,
} from './duration.ts';
export { type MixChange, MixSchedule } from './mix-schedule.ts';
export * from './profile/index.ts';
export { Trainer, type TrainerOptions, type TrainingData, type TrainingRows } from './trainer.ts';
