/** The families by what files call them. */
import { DabarexError } from '../../base/index.ts';
import { ggufString } from '../../checkpoint/index.ts';
import { dbrx } from './dbrx.ts';
import type { FamilyFormats, GgufDescription } from './formats.ts';
import { gpt2 } from './gpt2.ts';
import { grok } from './grok.ts';
import { llama, mixtral, olmoe, qwen2, qwen2Moe, qwen3, qwen3Moe } from './llama.ts';
import { mpt } from './mpt.ts';
import type { Family } from './traits.ts';

const ALL: readonly FamilyFormats[] = [
  dbrx,
  llama,
  mixtral,
  olmoe,
  qwen2,
  qwen2Moe,
  qwen3,
  qwen3Moe,
  gpt2,
  mpt,
  grok,
];

/** Model types that are another family by a different name. */
const SAME_AS: Readonly<Record<string, string>> = { mistral: 'llama' };

export function formatsOf(family: Family): FamilyFormats {
  return ALL.find((each) => each.family === family)!;
}

/** By the `model_type` of a config.json. @throws model_family_unknown */
export function formatsOfModelType(modelType: unknown, path: string): FamilyFormats {
  const name = typeof modelType === 'string' ? (SAME_AS[modelType] ?? modelType) : '';
  const found = ALL.find(({ huggingFace }) => huggingFace.modelType === name);
  if (found) return found;
  throw unknown(
    path,
    `its model_type is ${JSON.stringify(modelType)}`,
    ALL.map(({ huggingFace }) => huggingFace.modelType),
  );
}

/** By the `general.architecture` of a GGUF file. @throws model_family_unknown, gguf_invalid */
export function formatsOfGguf(file: GgufDescription): FamilyFormats {
  const architecture = ggufString(file, 'general.architecture');
  const found = ALL.find(({ gguf }) => gguf.architecture === architecture && (gguf.accepts?.(file) ?? true));
  if (found) return found;
  throw unknown(file.path, `its architecture is ${architecture}`, [
    ...new Set(ALL.map(({ gguf }) => gguf.architecture)),
  ]);
}

function unknown(path: string, is: string, known: readonly string[]): DabarexError {
  return new DabarexError(
    'model_family_unknown',
    `${path}: ${is}, which is not known here. Known are ${known.join(', ')}.`,
    { path },
  );
}
