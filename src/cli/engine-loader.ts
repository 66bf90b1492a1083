/** What the engine's thread loads: a model folder. Imported there by its address, see {@link startEngine}. */
import { codecOf, type InferenceModel, type TextCodec } from '../infer/index.ts';
import { Generator, type LoadModelOptions, loadModel } from '../model/index.ts';

export interface LoaderOptions extends LoadModelOptions {
  readonly dir: string;
}

/** Called in the engine's thread. */
export async function load({
  dir,
  ...options
}: LoaderOptions): Promise<{ model: InferenceModel; codec: TextCodec }> {
  const { model, tokenizer, chatTemplate = 'none', ...rest } = loadModel(dir, options);
  return {
    model: new Generator(model),
    // Without a template it is a base model, which has never seen the tokens of conversations.
    codec: codecOf(tokenizer, { chatTemplate, ...rest }),
  };
}
