/** The vocabulary of a GGUF file, out of its metadata and into it. */
import {
  type GgufFile,
  type GgufValue,
  ggufBool,
  ggufNumber,
  ggufNumbers,
  ggufString,
  ggufStrings,
} from '../checkpoint/index.ts';
import type { GgufVocabulary } from '../tokenizer/index.ts';

const KEY = 'tokenizer.ggml.';

/** The vocabulary of `file`, or undefined where it has none. @throws gguf_invalid where a value has another type */
export function readGgufVocabulary(file: Pick<GgufFile, 'path' | 'metadata'>): GgufVocabulary | undefined {
  const model = ggufString(file, `${KEY}model`);
  const tokens = ggufStrings(file, `${KEY}tokens`);
  if (model === undefined || tokens === undefined) return undefined;
  const merges = ggufStrings(file, `${KEY}merges`);
  const id = (name: string) => ggufNumber(file, `${KEY}${name}_token_id`);
  return {
    model,
    pre: ggufString(file, `${KEY}pre`),
    tokens: [...tokens],
    tokenTypes: ggufNumbers(file, `${KEY}token_type`),
    scores: ggufNumbers(file, `${KEY}scores`),
    merges: merges && [...merges],
    beginOfTextId: id('bos'),
    endOfTextId: id('eos'),
    endOfTurnId: id('eot'),
    unknownId: id('unknown'),
    paddingId: id('padding'),
    addsBegin: ggufBool(file, `${KEY}add_bos_token`),
    addsEnd: ggufBool(file, `${KEY}add_eos_token`),
    addsSpacePrefix: ggufBool(file, `${KEY}add_space_prefix`),
    chatTemplate: ggufString(file, 'tokenizer.chat_template'),
  };
}

/** The entries of the metadata that say `vocabulary`. */
export function ggufVocabularyMetadata(vocabulary: GgufVocabulary): Map<string, GgufValue> {
  const { tokens, tokenTypes, scores, merges } = vocabulary;
  const entries: [string, GgufValue | undefined][] = [
    [`${KEY}model`, { type: 'string', value: vocabulary.model }],
    [`${KEY}pre`, text(vocabulary.pre)],
    [`${KEY}tokens`, { type: 'array', of: 'string', value: tokens }],
    [`${KEY}token_type`, tokenTypes && { type: 'array', of: 'i32', value: Int32Array.from(tokenTypes) }],
    [`${KEY}scores`, scores && { type: 'array', of: 'f32', value: Float32Array.from(scores) }],
    [`${KEY}merges`, merges && { type: 'array', of: 'string', value: merges }],
    [`${KEY}bos_token_id`, number(vocabulary.beginOfTextId)],
    [`${KEY}eos_token_id`, number(vocabulary.endOfTextId)],
    [`${KEY}eot_token_id`, number(vocabulary.endOfTurnId)],
    [`${KEY}unknown_token_id`, number(vocabulary.unknownId)],
    [`${KEY}padding_token_id`, number(vocabulary.paddingId)],
    [`${KEY}add_bos_token`, flag(vocabulary.addsBegin)],
    [`${KEY}add_eos_token`, flag(vocabulary.addsEnd)],
    [`${KEY}add_space_prefix`, flag(vocabulary.addsSpacePrefix)],
    ['tokenizer.chat_template', text(vocabulary.chatTemplate)],
  ];
  return new Map(entries.filter((entry): entry is [string, GgufValue] => entry[1] !== undefined));
}

function text(value: string | undefined): GgufValue | undefined {
  return value === undefined ? undefined : { type: 'string', value };
}

function number(value: number | undefined): GgufValue | undefined {
  return value === undefined ? undefined : { type: 'u32', value };
}

function flag(value: boolean | undefined): GgufValue | undefined {
  return value === undefined ? undefined : { type: 'bool', value };
}
