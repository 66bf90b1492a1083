/**
 * Stage `sample`: keeps a share of the documents, chosen by a hash of their id and a seed, so the same ones wherever they stand; or those whose score
 * (a note of an earlier stage, `quality` say) is at least a bound; or both. With `by: score`, documents are kept with a probability that grows with the score
 * as in GPT-3's filtering (Brown et al. 2020, arXiv 2005.14165, appendix A: keep where a Pareto draw exceeds 1 - score), drawn from the hash.
 */
import { z } from 'zod';
import { Rng, streamOf } from '../../base/index.ts';
import type { TextStage } from './stage.ts';

const schema = z.strictObject({
  /** of all documents, by hash */
  fraction: z.number().gt(0).max(1).default(1),
  /** the note that is the score, between 0 and 1 */
  score: z.string().min(1).optional(),
  /** reject documents with a smaller score, or none */
  minScore: z.number().optional(),
  /** alpha of the Pareto draw: with it good documents are likely kept and bad ones seldom; GPT-3 took 9 */
  paretoAlpha: z.number().positive().optional(),
  seed: z.int().nonnegative().default(1),
});
type SampleConfig = z.output<typeof schema>;

export const sample: TextStage<SampleConfig> = {
  name: 'sample',
  version: 1,
  schema: schema.refine(
    (config) => config.score !== undefined || (config.minScore ?? config.paretoAlpha) === undefined,
    {
      message: 'minScore and paretoAlpha need score: the name of a note',
    },
  ),
  create: (config) => (document) => {
    const rng = new Rng(config.seed, streamOf(`sample ${document.id}`));
    if (config.fraction < 1 && rng.uniform() >= config.fraction) return { reject: 'not_sampled' };
    if (config.score === undefined) return { keep: document };
    const value = document.notes?.[config.score];
    if (typeof value !== 'number') return { reject: 'no_score', detail: config.score };
    if (config.minScore !== undefined && value < config.minScore) {
      return { reject: 'low_score', detail: String(value) };
    }
    const { paretoAlpha } = config;
    if (paretoAlpha !== undefined && pareto(rng.uniform(), paretoAlpha) <= 1 - value) {
      return { reject: 'not_drawn', detail: String(value) };
    }
    return { keep: document };
  },
};

/** A draw of numpy's `random.pareto(alpha)` (Lomax) from a uniform one. */
function pareto(uniform: number, alpha: number): number {
  return (1 - uniform) ** (-1 / alpha) - 1;
}
