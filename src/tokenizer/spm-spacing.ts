/** What a tokenizer.json says of spaces and normal forms: normalizer, pre_tokenizer and decoder of a SentencePiece-style BPE. */
import { z } from 'zod';
import type { NormalizerStep } from './normalizer.ts';
import { tokenizerUnsupported } from './parse-errors.ts';
import { SPACE_MARK, type SpmModel } from './spm-tokenizer.ts';

const stepSchema = z.union([
  z.object({ type: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase']) }),
  z.object({ type: z.literal('Prepend'), prepend: z.string() }),
  z.object({
    type: z.literal('Replace'),
    pattern: z.object({ String: z.string().min(1) }),
    content: z.string(),
  }),
]);
const sequenceSchema = z.object({ type: z.literal('Sequence'), normalizers: z.array(z.unknown()).max(64) });
const metaspaceSchema = z.object({
  type: z.literal('Metaspace'),
  replacement: z.literal(SPACE_MARK),
  prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
  add_prefix_space: z.boolean().default(true),
  split: z.boolean().default(true),
});
/** Gemma's: after the normalizer there is no space left that it could find. */
const spaceSplitSchema = z.object({
  type: z.literal('Split'),
  pattern: z.object({ String: z.literal(' ') }),
});
const decodersSchema = z.object({ type: z.literal('Sequence'), decoders: z.array(z.unknown()) });
const stripSchema = z.object({
  type: z.literal('Strip'),
  content: z.literal(' '),
  start: z.int().positive(),
});

type Spacing = Pick<SpmModel, 'normalizer' | 'spacePrefix' | 'keepsSpace' | 'splitsAtSpaces' | 'dropsSpace'>;
interface File {
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly decoder: unknown;
  readonly where: string;
}

/** The steps of a normalizer. @throws tokenizer_unsupported */
export function readNormalizer(value: unknown, where: string): NormalizerStep[] {
  if (value === null || value === undefined) return [];
  const sequence = sequenceSchema.safeParse(value);
  if (sequence.success) return sequence.data.normalizers.flatMap((each) => readNormalizer(each, where));
  const step = stepSchema.safeParse(value);
  if (!step.success)
    throw tokenizerUnsupported(where, `the normalizer ${JSON.stringify(value).slice(0, 120)}`);
  return [step.data as NormalizerStep];
}

/** @throws tokenizer_unsupported */
export function readSpacing({ normalizer, pre_tokenizer, decoder, where }: File): Spacing {
  const steps = readNormalizer(normalizer, where);
  const dropsSpace = decoderDropsSpace(decoder);
  const metaspace = metaspaceSchema.safeParse(pre_tokenizer);
  if (metaspace.success) {
    const { prepend_scheme: scheme, add_prefix_space: adds, split } = metaspace.data;
    const isMark = steps.at(-1)?.type === 'Replace' && marksSpaces(steps.at(-1)!);
    const rest = isMark ? steps.slice(0, -1) : steps;
    requirePlain(rest, where);
    const spacePrefix = scheme ?? (adds ? 'always' : 'never');
    return { normalizer: rest, spacePrefix, keepsSpace: true, splitsAtSpaces: split, dropsSpace };
  }
  const isNone = pre_tokenizer === null || pre_tokenizer === undefined;
  if (!isNone && !spaceSplitSchema.safeParse(pre_tokenizer).success) {
    throw tokenizerUnsupported(where, `the pre-tokenizer ${JSON.stringify(pre_tokenizer).slice(0, 120)}`);
  }
  const at = steps.findIndex(marksSpaces);
  if (at < 0)
    throw tokenizerUnsupported(where, 'a BPE that is neither byte-level nor writes spaces as U+2581');
  const isPrefix = (step: NormalizerStep) =>
    step.type === 'Prepend' && (step.prepend === SPACE_MARK || step.prepend === ' ');
  const rest = steps.filter((step, i) => i !== at && !isPrefix(step));
  const prefixes = steps.filter(isPrefix).length;
  if (prefixes > 1 || at < steps.length - 1 - prefixes)
    requirePlain([{ type: 'Prepend', prepend: '' }], where);
  requirePlain(rest, where);
  const spacePrefix = prefixes > 0 ? 'always' : 'never';
  return { normalizer: rest, spacePrefix, keepsSpace: false, splitsAtSpaces: false, dropsSpace };
}

function marksSpaces(step: NormalizerStep): boolean {
  return step.type === 'Replace' && step.pattern.String === ' ' && step.content === SPACE_MARK;
}

function requirePlain(steps: readonly NormalizerStep[], where: string): void {
  if (steps.some((step) => step.type === 'Prepend')) {
    throw tokenizerUnsupported(where, 'a normalizer that prepends something else than a space');
  }
}

function decoderDropsSpace(decoder: unknown): boolean {
  const many = decodersSchema.safeParse(decoder);
  if (many.success) return many.data.decoders.some(decoderDropsSpace);
  const metaspace = metaspaceSchema.safeParse(decoder);
  if (metaspace.success)
    return (
      (metaspace.data.prepend_scheme ?? (metaspace.data.add_prefix_space ? 'always' : 'never')) !== 'never'
    );
  return stripSchema.safeParse(decoder).success;
}
