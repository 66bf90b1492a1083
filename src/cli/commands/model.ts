/** `dabarex model info`: parameters, memory and FLOPs of a recipe's or a trained model, from its shape alone. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { DabarexError } from '../../base/index.ts';
import {
  completeModelConfig,
  countParameters,
  estimateMemory,
  flopsPerToken,
  loadTokenizerOf,
  type ModelConfig,
  type OpenModel,
  openModel,
} from '../../model/index.ts';
import { loadTokenizer } from '../../tokenizer/index.ts';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { findModel } from '../model-folder.ts';
import { formatBytes, formatCount, formatShort, formatTable } from '../output.ts';
import { addSetOption } from '../overrides.ts';
import { isRecipeName, loadRecipe, requirePart, tokenizerVocabSize } from '../recipe.ts';
import { positive } from '../sampling.ts';

interface InfoOptions {
  readonly json?: boolean;
  readonly set?: string[];
  readonly sequenceLength?: number;
}

/** @returns `model` with its one subcommand */
export function modelCommand(context: CliContext): Command {
  const info = new Command('info')
    .description('parameters, memory and FLOPs per token of a model; allocates no weights')
    .argument(
      '<model>',
      'a recipe by file or name, a model folder or file (.gguf, llama2.c .bin), or a run by folder or name',
    )
    .option('--sequence-length <tokens>', 'sequence length for FLOPs; default: the model’s longest', positive)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex model info quickstart', 'the quickstart model'],
        ['dabarex model info dbrx-132b --json', 'the published DBRX'],
        ['dabarex model info runs/quickstart', 'what a run has trained'],
        ['dabarex model info mixtral-q4_k.gguf', 'tensors, tokenizer and chat template of a file, too'],
        ['dabarex model info quickstart --set model.ffn.topK=2', 'what a change would mean'],
      ]),
    )
    .action((path: string, options: InfoOptions) => {
      const { name, config, file } = findConfig(path, options, context);
      const description = { ...describeModel(name, config, options.sequenceLength), ...file };
      if (options.json) context.printJson(description);
      else context.print(renderModel(description));
    });
  return new Command('model').description('about models').addCommand(addSetOption(info));
}

/** Of a folder on disk, else of a recipe. */
function findConfig(path: string, options: InfoOptions, context: CliContext) {
  const folders = [resolve(context.cwd, path), join(context.runsDir, path)];
  const files = ['config.json', 'recipe.yaml'];
  const isModel =
    /\.(gguf|bin)$/i.test(path) ||
    folders.some((folder) => files.some((file) => existsSync(join(folder, file))));
  // A recipe's name stands for the recipe, also where a run has the same name.
  if (isModel && !isRecipeName(path)) {
    const { dir, name } = findModel(path, context);
    return { name, ...describeFile(dir) };
  }
  const recipe = loadRecipe(path, options.set, context.cwd);
  const model = requirePart(recipe, 'model');
  const { tokenizer } = recipe;
  const vocabSize =
    tokenizer?.kind === 'file' && model.vocabSize === undefined
      ? loadTokenizer(resolve(context.cwd, tokenizer.path)).vocabSize
      : tokenizerVocabSize(tokenizer);
  if (model.vocabSize === undefined && vocabSize === undefined) throw vocabularyUnknown(recipe.name, path);
  const config = completeModelConfig(model, vocabSize);
  return { name: recipe.name, config, file: undefined };
}

/** A character tokenizer has as many tokens as its text has characters, which nobody has counted yet. */
function vocabularyUnknown(name: string, path: string): DabarexError {
  return new DabarexError(
    'config_invalid',
    `The vocabulary of ${name} is known once its tokenizer has been trained on its text. Give its size, ` +
      `dabarex model info ${path} --set model.vocabSize=65, or describe the run: dabarex model info runs/${name}.`,
    { path: 'model.vocabSize' },
  );
}

/** What only a file has. */
interface FileDescription {
  readonly format: string;
  readonly sizeBytes: number;
  /** number and bytes of tensors by type */
  readonly tensors: readonly { readonly type: string; readonly count: number; readonly sizeBytes: number }[];
  /** undefined: none, or of a kind that is not supported, as `tokenizerProblem` says */
  readonly tokenizer?: { readonly kind: string; readonly vocabSize: number; readonly specialTokens: number };
  readonly tokenizerProblem?: string;
  readonly hasChatTemplate: boolean;
}

function describeFile(path: string): { config: ModelConfig; file: FileDescription } {
  const model = openModel(path);
  try {
    const types = new Map<string, { count: number; sizeBytes: number }>();
    for (const { type, sizeBytes } of model.tensors) {
      const known = types.get(type) ?? { count: 0, sizeBytes: 0 };
      types.set(type, { count: known.count + 1, sizeBytes: known.sizeBytes + sizeBytes });
    }
    const file = {
      format: model.format,
      sizeBytes: model.tensors.reduce((sum, each) => sum + each.sizeBytes, 0),
      tensors: [...types].map(([type, rest]) => ({ type, ...rest })),
      ...describeTokenizer(model),
      hasChatTemplate: hasChatTemplate(model),
    };
    return { config: model.config, file };
  } finally {
    model.close();
  }
}

function describeTokenizer(model: OpenModel): Pick<FileDescription, 'tokenizer' | 'tokenizerProblem'> {
  try {
    const { tokenizer } = loadTokenizerOf(model);
    const kind = String(tokenizer.toJSON().model.type);
    return {
      tokenizer: { kind, vocabSize: tokenizer.vocabSize, specialTokens: tokenizer.specialTokens.size },
    };
  } catch (error) {
    if (error instanceof DabarexError) return { tokenizerProblem: error.message };
    throw error;
  }
}

function hasChatTemplate({ path, gguf, format }: OpenModel): boolean {
  if (gguf) return gguf.metadata.has('tokenizer.chat_template');
  if (format !== 'hf') return false;
  if (existsSync(join(path, 'chat_template.jinja'))) return true;
  const config = join(path, 'tokenizer_config.json');
  return existsSync(config) && readFileSync(config, 'utf8').includes('"chat_template"');
}

type Description = ReturnType<typeof describeModel> & Partial<FileDescription>;

function describeModel(name: string, config: ModelConfig, length = config.maxSeqLen) {
  return {
    name,
    model: config,
    parameters: countParameters(config),
    sequenceLength: length,
    flopsPerToken: flopsPerToken(config, length),
    memory: estimateMemory(config),
  };
}

function renderModel(description: Description) {
  const { name, model, parameters, sequenceLength, flopsPerToken: flops, memory } = description;
  const { ffn } = model;
  const experts = ffn.numExperts === 1 ? 'dense' : `${ffn.numExperts} experts, ${ffn.topK} per token`;
  const title =
    `${name}: ${model.family}, ${model.numLayers} layers, width ${model.dModel}, ${model.numHeads} heads ` +
    `(${model.kvHeads} key/value), ${experts} of ${ffn.hidden}, vocabulary ${formatCount(model.vocabSize)}`;
  const rows = [
    ['parameters, total', formatCount(parameters.total)],
    ['parameters, active per token', formatCount(parameters.active)],
    ['active without the input embedding', formatCount(parameters.activeInProducts)],
    [`FLOPs per token, forward (${formatCount(sequenceLength)} tokens)`, formatShort(flops.forward)],
    ['FLOPs per token, training', formatShort(flops.training)],
    ['weights, bf16', formatBytes(memory.weightsBf16Bytes)],
    ['weights, f32', formatBytes(memory.weightsF32Bytes)],
    ['weights, int8 with scales', formatBytes(memory.weightsInt8Bytes)],
    ['key/value cache per token, f32', formatBytes(memory.cacheBytesPerToken)],
    ['weights, gradients and optimizer in training', formatBytes(memory.trainingStateBytes)],
    ...fileRows(description),
  ];
  return `${title}\n${formatTable(['', ''], rows).trimStart()}`;
}

function fileRows({ format, sizeBytes, tensors, tokenizer, tokenizerProblem, hasChatTemplate }: Description) {
  if (!format) return [];
  const ofType = tensors!.map((each) => `${each.count} ${each.type}`).join(', ');
  const kind = tokenizer
    ? `${tokenizer.kind}, ${formatCount(tokenizer.vocabSize)} tokens, ${tokenizer.specialTokens} of them special`
    : tokenizerProblem!;
  return [
    ['format', `${format}, ${formatBytes(sizeBytes!)} of tensors: ${ofType}`],
    ['tokenizer', kind],
    ['chat template', hasChatTemplate ? 'yes' : 'no'],
  ];
}
