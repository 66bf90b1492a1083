/** A thread of a conversion: jobs in, parts made. */
import { parentPort } from 'node:worker_threads';
import { DabarexError } from '../../base/index.ts';
import { makePart, type PartJob } from './part.ts';

export type ConvertAnswer =
  | { readonly type: 'bytes'; readonly count: number }
  | { readonly type: 'done' }
  | {
      readonly type: 'failed';
      /** absent for an error without a code */
      readonly code?: DabarexError['code'];
      readonly message: string;
      readonly fields?: DabarexError['fields'];
    };

/** Bytes are told of in lots. */
const LOT_BYTES = 1 << 20;

const answer = (message: ConvertAnswer) => parentPort!.postMessage(message);

parentPort!.on('message', async (job: PartJob) => {
  let lot = 0;
  try {
    await makePart(job, (count) => {
      lot += count;
      if (lot < LOT_BYTES) return;
      answer({ type: 'bytes', count: lot });
      lot = 0;
    });
    answer({ type: 'done' });
  } catch (error) {
    const { code, fields } = error instanceof DabarexError ? error : {};
    const message =
      error instanceof Error ? (code ? error.message : (error.stack ?? error.message)) : String(error);
    answer({ type: 'failed', code, message, fields });
  }
});
