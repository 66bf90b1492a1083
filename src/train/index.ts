export type { Callback, Metrics, StepResult, TrainingState } from './callback.ts';
export { phaseConfigSchema, type TrainConfig, trainConfigSchema } from './config.ts';
export { crossed, type Duration, durationSchema, measure, type Position, parseDuration } from './duration.ts';
export * from './profile/index.ts';
export { phaseAt, Trainer, type TrainerOptions, type TrainingData } from './trainer.ts';
