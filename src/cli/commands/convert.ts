/** `dabarex convert`: a model from one format to another, tensor by tensor. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { DabarexError } from '../../base/index.ts';
import {
  huggingFaceFiles,
  openModel,
  vocabularyOf,
  WEIGHT_TYPES,
  type WeightType,
  writeGgufModel,
  writeHuggingFace,
} from '../../model/index.ts';
import { createKernels } from '../../tensor/index.ts';
import type { CliContext } from '../context.ts';
import { examples } from '../help.ts';
import { findModel } from '../model-folder.ts';
import { formatBytes, formatSeconds } from '../output.ts';
import { createProgressDisplay } from '../progress.ts';
import { byteCount } from '../sampling.ts';

interface ConvertOptions {
  readonly to?: 'hf' | 'gguf' | 'dabarex';
  readonly type?: WeightType;
  readonly shardSize?: number;
  readonly tokenizer?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** @returns the command `convert` */
export function convertModelCommand(context: CliContext): Command {
  return new Command('convert')
    .description(
      'a model to another format: Hugging Face’s folders, GGUF; reads llama2.c files and runs, too',
    )
    .argument(
      '<in>',
      'a run by name or folder, a model folder, a .gguf file (any of its parts) or a llama2.c .bin',
    )
    .argument('<out>', 'the folder or .gguf file to make')
    .addOption(
      new Option('--to <format>', 'default: by the name of <out>').choices(['hf', 'gguf', 'dabarex']),
    )
    .addOption(
      new Option('--type <type>', 'of the weights; default: f32, those of quantised files as values').choices(
        [...WEIGHT_TYPES],
      ),
    )
    .option('--shard-size <size>', 'the most a file may have: 500MB, 5GB; default: one file', byteCount)
    .option('--tokenizer <file>', 'a tokenizer for a model that comes without: tokenizer.json, tokenizer.bin')
    .option('--force', 'replace what is there')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        [
          'dabarex convert quickstart quickstart.gguf --type q8_0',
          'the newest checkpoint of a run, for llama.cpp',
        ],
        ['dabarex convert model.gguf model-hf --type bf16', 'back into a Hugging Face folder'],
        ['dabarex convert mixtral-hf mixtral.gguf --type q4_k --shard-size 5GB', 'in several parts'],
        ['dabarex convert stories15M.bin stories --tokenizer tokenizer.bin', 'a llama2.c model'],
      ]),
    )
    .action((input: string, out: string, options: ConvertOptions) => convert(input, out, options, context));
}

function convert(input: string, out: string, options: ConvertOptions, context: CliContext): void {
  const { dir } = findModel(input, context);
  const path = resolve(context.cwd, out);
  if (existsSync(path) && realpathSync(path) === realpathSync(dir)) {
    // Written in place, a model of fewer bits would be all that is left of it.
    throw new DabarexError(
      'usage_invalid',
      `${path} is the model that is read. Give another name for the output.`,
    );
  }
  if (!options.force && statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new DabarexError(
      'path_unusable',
      `${path} is there already. Give another name, remove it, or replace it with --force.`,
      { path },
    );
  }
  const to = options.to ?? (/\.gguf$/i.test(path) ? 'gguf' : 'hf');
  const type = options.type ?? 'f32';
  const tokenizerPath = options.tokenizer && resolve(context.cwd, options.tokenizer);
  const progress = createProgressDisplay(context.stderr, context.now);
  const startedMs = context.now();
  const kernels = createKernels({ threads: context.threads });
  const model = openModel(dir, kernels);
  let files: string[];
  try {
    const writing = {
      type,
      shardBytes: options.shardSize,
      replace: options.force,
      kernels,
      onProgress: progress.onProgress,
    };
    if (to === 'gguf') files = writeGgufModel(model, path, vocabularyOf(model, tokenizerPath), writing);
    else files = writeHuggingFace(model, path, { files: huggingFaceFiles(model, tokenizerPath) }, writing);
  } finally {
    progress.stop();
    model.close();
  }
  const sizeBytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  const seconds = (context.now() - startedMs) / 1000;
  if (options.json) context.printJson({ path, format: to, type, files, sizeBytes, seconds });
  else context.print(`${path}: ${type}, ${formatBytes(sizeBytes)} in ${formatSeconds(seconds)}`);
}
