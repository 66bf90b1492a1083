/** `dabarex generate`: text from a model, streamed to standard output. */
import { Command } from 'commander';
import type { FinishReason, Usage } from '../../infer/index.ts';
import { type CliContext, isInterruption } from '../context.ts';
import { startEngineForOne } from '../engine.ts';
import { examples } from '../help.ts';
import { findModel } from '../model-folder.ts';
import { addSamplingOptions, type SamplingOptions, samplingOf } from '../sampling.ts';

interface GenerateOptions extends SamplingOptions {
  readonly json?: boolean;
}

/** @returns the command `generate` */
export function generateCommand(context: CliContext): Command {
  const command = new Command('generate')
    .description('continue a text with a trained model')
    .argument('<model>', 'a run by name or folder, a model folder, or a .gguf file')
    .argument('[prompt]', 'the text to continue; empty: a new document', '')
    .option('--json', 'one JSON object with text, usage and reason when all is there')
    .addHelpText(
      'after',
      examples([
        ['dabarex generate quickstart "The President said"', 'with the newest checkpoint of a run'],
        ['dabarex generate quickstart "function " --temperature 0', 'the most likely continuation'],
        ['dabarex generate path/to/model --max-tokens 32 --json', 'for scripts'],
        ['dabarex generate quickstart Once --weights int8', 'a quarter of the bytes read for each token'],
      ]),
    )
    .action((model: string, prompt: string, options: GenerateOptions) =>
      generate(model, prompt, options, context),
    );
  return addSamplingOptions(command);
}

async function generate(
  model: string,
  prompt: string,
  options: GenerateOptions,
  context: CliContext,
): Promise<void> {
  const { dir } = findModel(model, context);
  const engine = await startEngineForOne(dir, options, context);
  try {
    context.watchInterrupts();
    let text = '';
    let end: { reason: FinishReason; usage: Usage } | undefined;
    const request = { prompt: { text: prompt }, ...samplingOf(options) };
    try {
      for await (const event of engine.generate(request, context.interrupted)) {
        if (event.type === 'accepted' && !options.json) context.stdout.write(prompt);
        if (event.type === 'delta') {
          text += event.text;
          if (!options.json) context.stdout.write(event.text);
        } else if (event.type === 'finished') end = { reason: event.reason, usage: event.usage };
      }
    } catch (error) {
      // What was generated before Ctrl-C stands; there is nothing to continue.
      if (!isInterruption(error, context)) throw error;
    }
    if (options.json) context.printJson({ prompt, text, ...end });
    else context.print();
  } finally {
    await engine.close();
  }
}
