/** What an endpoint's handler gets of the request and of the server. */
import type { FastifyReply } from 'fastify';
import type { TextGenerator } from '../infer/index.ts';

export interface Exchange {
  readonly body: unknown;
  readonly reply: FastifyReply;
  /** aborted when the client is gone before the answer is */
  readonly signal: AbortSignal;
  /** unique; the answer's id without its prefix */
  readonly id: string;
  /** seconds since 1970 */
  readonly created: number;
  /** for a request that names none */
  readonly seed: number;
  /** The running engine. @throws model_not_ready, engine_stopped */
  engine(): TextGenerator;
  /** The served model's id. @throws model_not_found when the request names another */
  checkModel(name: string | undefined): string;
  onStreamError(error: unknown): void;
}
