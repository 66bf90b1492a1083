/** A thread of a conversion: jobs in, parts made; its notes are bytes of input done. */
import { answerJobs } from '../../base/index.ts';
import { makePart, type PartJob } from './part.ts';

/** Bytes are told of in lots. */
const LOT_BYTES = 1 << 20;

answerJobs<PartJob, void, number>(async (job, note) => {
  let lot = 0;
  await makePart(job, (count) => {
    lot += count;
    if (lot < LOT_BYTES) return;
    note(lot);
    lot = 0;
  });
  return { answer: undefined };
});
