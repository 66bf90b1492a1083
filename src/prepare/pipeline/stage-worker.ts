/** A thread of a {@link JobPool}: jobs in, files written; its notes are warnings. */
import { workerData } from 'node:worker_threads';
import { answerJobs } from '../../base/index.ts';
import { type Job, type JobContext, JobRunner } from './jobs.ts';

const runner = new JobRunner(workerData as JobContext);

answerJobs<Job, void, string>(async (job, warn) => ({ answer: await runner.run(job, warn) }));
