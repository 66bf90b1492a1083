/** The tokenizer of a recipe, learned from its prepared documents. */
import type { OnProgress } from '../base/index.ts';
import { sampleTexts } from '../prepare/index.ts';
import { type Tokenizer, type TokenizerConfig, trainBpe, trainChar } from '../tokenizer/index.ts';

/**
 * Trains the tokenizer; the same config and documents give the same one.
 * @throws documents_invalid, tokenizer_vocab_size
 */
export async function makeTokenizer(
  config: TokenizerConfig,
  documentsDir: string,
  onProgress?: OnProgress,
): Promise<Tokenizer> {
  if (config.kind === 'char')
    return trainChar(await sampleTexts({ documentsDir, trainBytes: Number.MAX_VALUE }));
  const texts = await sampleTexts({ documentsDir, trainBytes: config.trainBytes });
  return trainBpe({ texts, vocabSize: config.vocabSize, onProgress });
}
