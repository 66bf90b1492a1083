/** Streams of text files, as one thread or process opens them again that another has opened and indexed before. */
import { DabarexError } from '../../base/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { type FileFormat, openTextReader } from '../open-text.ts';
import type { TextReader } from '../text-reader.ts';

/** Text files of one stream; plain data. */
export interface TextPlace {
  /** local, in the order of the stream */
  readonly files: readonly string[];
  readonly format?: FileFormat;
  readonly textField: string;
  readonly sampleTokens: number;
  /** where their indexes are */
  readonly cacheDir: string;
  /** of {@link TextReader} when they were opened first: other content is refused */
  readonly contentSha256: string;
}

/** @throws text_changed where the files are not what they were; and as {@link openTextReader} */
export async function openTextPlace(place: TextPlace, tokenizer: Tokenizer): Promise<TextReader> {
  const { files, contentSha256, ...options } = place;
  // The index is there: threads are for making one.
  const reader = await openTextReader(files, { ...options, tokenizer, threads: 1 });
  if (reader.contentSha256 === contentSha256) return reader;
  reader.close();
  const message = `${reader.dir} is not what it was when the run began. Leave the files as they are while they are read, and start again.`;
  throw new DabarexError('text_changed', message, { path: files[0] });
}
