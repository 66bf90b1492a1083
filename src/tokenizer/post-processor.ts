/** The `post_processor` of tokenizer.json: which tokens stand before and after every text. */
import { z } from 'zod';
import type { SpanModel } from './span-tokenizer.ts';

const special = z.object({ SpecialToken: z.object({ id: z.string() }) });
const sequence = z.object({ Sequence: z.object({ id: z.literal('A') }) });
const templateSchema = z.object({
  type: z.literal('TemplateProcessing'),
  single: z.array(z.union([special, sequence])),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(z.int().nonnegative()) })),
});
const pairSchema = z.tuple([z.string(), z.int().nonnegative()]);
const bertSchema = z.object({
  type: z.enum(['RobertaProcessing', 'BertProcessing']),
  sep: pairSchema,
  cls: pairSchema,
});
const manySchema = z.object({ type: z.literal('Sequence'), processors: z.array(z.unknown()).max(16) });
const byteLevelSchema = z.object({ type: z.literal('ByteLevel') });

type Ends = Required<Pick<SpanModel, 'prefixIds' | 'suffixIds'>>;

/** What it puts before and after a text; undefined for a kind that is not known. */
export function readPostProcessor(value: unknown): Ends | undefined {
  if (value === null || value === undefined || byteLevelSchema.safeParse(value).success) {
    return { prefixIds: [], suffixIds: [] };
  }
  const many = manySchema.safeParse(value);
  if (many.success) {
    const parts = many.data.processors.map(readPostProcessor);
    if (parts.includes(undefined)) return undefined;
    // Each puts its tokens around what the one before gave.
    return {
      prefixIds: parts.toReversed().flatMap((each) => each!.prefixIds),
      suffixIds: parts.flatMap((each) => each!.suffixIds),
    };
  }
  const bert = bertSchema.safeParse(value);
  if (bert.success) return { prefixIds: [bert.data.cls[1]], suffixIds: [bert.data.sep[1]] };
  const template = templateSchema.safeParse(value);
  const at = template.data?.single.findIndex((part) => 'Sequence' in part) ?? -1;
  if (!template.success || at < 0) return undefined;
  const { single, special_tokens: tokens } = template.data;
  const idsOf = (parts: typeof single) =>
    parts.flatMap((part) => ('SpecialToken' in part ? (tokens[part.SpecialToken.id]?.ids ?? []) : []));
  return { prefixIds: idsOf(single.slice(0, at)), suffixIds: idsOf(single.slice(at + 1)) };
}

/** @param keys text of each id in the file */
export function postProcessorJson(model: SpanModel, keys: readonly (string | undefined)[]): unknown {
  const { prefixIds = [], suffixIds = [] } = model;
  if (prefixIds.length + suffixIds.length === 0) return null;
  const part = (id: number) => ({ SpecialToken: { id: keys[id], type_id: 0 } });
  const single = [...prefixIds.map(part), { Sequence: { id: 'A', type_id: 0 } }, ...suffixIds.map(part)];
  const tokens = [...prefixIds, ...suffixIds].map((id) => [
    keys[id],
    { id: keys[id], ids: [id], tokens: [keys[id]] },
  ]);
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: Object.fromEntries(tokens),
  };
}
