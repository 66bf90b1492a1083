/** The `pre_tokenizer` of a byte-level BPE in tokenizer.json: which text is split how. */
import { z } from 'zod';
import type { BpeModel } from './bpe-tokenizer.ts';
import { DialectError, translateRegex } from './regex-dialect.ts';
import type { SplitRule } from './regex-splitter.ts';
import { SPLIT_PATTERN_SOURCES, type SplitPattern } from './split.ts';

/** How a byte-level BPE splits. */
export type PreTokenizer = Pick<BpeModel, 'pattern' | 'addPrefixSpace'>;

const behavior = z.enum(['Isolated', 'Removed', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']);
const splitSchema = z.object({
  type: z.literal('Split'),
  pattern: z.union([z.object({ Regex: z.string() }), z.object({ String: z.string().min(1) })]),
  behavior,
  invert: z.boolean().default(false),
});
const byteLevelSchema = z.object({
  type: z.literal('ByteLevel'),
  add_prefix_space: z.boolean().default(true),
  use_regex: z.boolean().default(true),
});
const digitsSchema = z.object({ type: z.literal('Digits'), individual_digits: z.boolean().default(false) });
const punctuationSchema = z.object({
  type: z.literal('Punctuation'),
  behavior: behavior.default('Isolated'),
});
const stepSchema = z.discriminatedUnion('type', [
  splitSchema,
  byteLevelSchema,
  digitsSchema,
  punctuationSchema,
]);
const sequenceSchema = z.object({ type: z.literal('Sequence'), pretokenizers: z.array(z.unknown()).max(32) });

type Split = z.infer<typeof splitSchema>;

/** The pattern with a scanner of its own that `source` spells. */
export function knownPattern(source: string): SplitPattern | undefined {
  const names = Object.keys(SPLIT_PATTERN_SOURCES) as SplitPattern[];
  return names.find((name) => SPLIT_PATTERN_SOURCES[name] === source);
}

/**
 * What a byte-level BPE's `pre_tokenizer` says, or undefined where it is not that of a byte-level BPE.
 * @throws DialectError where it asks for what is not done here
 */
export function byteLevelPreTokenizer(value: unknown): PreTokenizer | undefined {
  const steps = flattened(value);
  const last = byteLevelSchema.safeParse(steps.at(-1));
  if (!last.success) return undefined;
  const rules: SplitRule[] = [];
  let known: SplitPattern | undefined;
  for (const step of steps.slice(0, -1)) {
    const parsed = stepSchema.safeParse(step);
    if (!parsed.success || parsed.data.type === 'ByteLevel') {
      throw new DialectError(`the pre-tokenizer ${JSON.stringify(step)?.slice(0, 120)}`);
    }
    if (parsed.data.type === 'Split') known = patternOfSplit(parsed.data);
    rules.push(ruleOf(parsed.data, known !== undefined));
  }
  const { add_prefix_space: addPrefixSpace, use_regex: usesRegex } = last.data;
  if (addPrefixSpace && rules.length > 0)
    throw new DialectError('ByteLevel with add_prefix_space after another pre-tokenizer');
  if (usesRegex) rules.push({ regex: SPLIT_PATTERN_SOURCES.gpt2, behavior: 'Isolated' });
  const prefix = addPrefixSpace ? { addPrefixSpace } : {};
  if (rules.length === 1 && usesRegex) return { pattern: 'gpt2', ...prefix };
  if (rules.length === 1 && known) return { pattern: known, ...prefix };
  for (const rule of rules) translateRegex(rule.regex);
  return { pattern: rules, ...prefix };
}

/** The pattern's name, where matches and what stands between are all kept apart. */
function patternOfSplit(split: Split): SplitPattern | undefined {
  const keepsAll = split.behavior === 'Isolated' || (split.behavior === 'Removed' && split.invert);
  return keepsAll && 'Regex' in split.pattern ? knownPattern(split.pattern.Regex) : undefined;
}

function ruleOf(
  step: Exclude<z.infer<typeof stepSchema>, { type: 'ByteLevel' }>,
  isKnown: boolean,
): SplitRule {
  if (step.type === 'Digits') {
    return { regex: '\\p{N}', behavior: step.individual_digits ? 'Isolated' : 'Contiguous' };
  }
  const regex =
    step.type === 'Punctuation'
      ? '[\\p{P}$+<=>^`|~]'
      : 'Regex' in step.pattern
        ? step.pattern.Regex
        : step.pattern.String.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  // A known pattern leaves nothing between its matches that could be removed.
  const kept = step.behavior === 'Removed' && isKnown ? 'Isolated' : step.behavior;
  if (kept === 'Removed') throw new DialectError('a pre-tokenizer that removes text');
  const inverts = step.type === 'Split' && step.invert && kept !== 'Isolated';
  return { regex, behavior: kept, ...(inverts ? { invert: true } : {}) };
}

function flattened(value: unknown): unknown[] {
  const sequence = sequenceSchema.safeParse(value);
  return sequence.success ? sequence.data.pretokenizers.flatMap(flattened) : [value];
}

/** The pre_tokenizer that {@link byteLevelPreTokenizer} reads as this one. */
export function preTokenizerJson({ pattern, addPrefixSpace = false }: PreTokenizer): unknown {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: addPrefixSpace, trim_offsets: true };
  if (addPrefixSpace) return { ...byteLevel, use_regex: true };
  const rules: readonly SplitRule[] =
    typeof pattern === 'string' ? [{ regex: SPLIT_PATTERN_SOURCES[pattern], behavior: 'Isolated' }] : pattern;
  const splits = rules.map(({ regex, behavior: kind, invert = false }) => ({
    type: 'Split',
    pattern: { Regex: regex },
    behavior: kind,
    invert,
  }));
  return { type: 'Sequence', pretokenizers: [...splits, { ...byteLevel, use_regex: false }] };
}
