/** Work that makes files out of files: a conversion, indexes of texts, documents. Plain data, so that another process can be told to do it. */
import { convertToMds, prepareConfigSchema, prepareCorpus } from '../../src/prepare/index.ts';
import { openTextReader } from '../../src/stream/index.ts';
import { loadTokenizer } from '../../src/tokenizer/index.ts';

export type PrepareTask =
  | { readonly kind: 'convert'; readonly input: string; readonly out: string; readonly partBytes: number }
  | {
      readonly kind: 'index';
      readonly files: readonly string[];
      readonly out: string;
      readonly tokenizer: string;
    }
  | { readonly kind: 'documents'; readonly input: string; readonly out: string };

/** Does it in one thread. @throws what the work throws */
export async function runTask(
  task: PrepareTask,
  onProgress?: (progress: { stage: string; done: number }) => void,
): Promise<void> {
  const { out } = task;
  if (task.kind === 'convert') {
    await convertToMds(task.input, out, { threads: 1, partBytes: task.partBytes, onProgress });
  } else if (task.kind === 'documents') {
    const source = { url: `file:${task.input}#*.jsonl`, format: 'jsonl' };
    const config = prepareConfigSchema.parse({ domains: { texts: { sources: [source] } } });
    await prepareCorpus(config, { dir: out, cacheDir: out, threads: 1, onProgress });
  } else {
    const tokenizer = loadTokenizer(task.tokenizer);
    const options = { tokenizer, sampleTokens: 65, cacheDir: out, threads: 2, onProgress };
    (await openTextReader(task.files, options)).close();
  }
}
