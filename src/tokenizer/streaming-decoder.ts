/** Text as tokens arrive: what is given out never ends inside a UTF-8 sequence. */
import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

/** Decodes one sequence of ids; all `push` results and `flush` joined equal `tokenizer.decode` of the whole. */
export class StreamingDecoder {
  private readonly tokenizer: Tokenizer;
  private readonly skipped: ReadonlySet<number>;
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.tokenizer = tokenizer;
    this.skipped = new Set(options.skipSpecialTokens ? tokenizer.specialTokens.values() : []);
  }

  /** The text that `id` completes, '' while a character is still open. */
  push(id: number): string {
    if (this.skipped.has(id)) return '';
    return this.decoder.decode(this.tokenizer.tokenBytes(id), { stream: true });
  }

  /** Ends the sequence: an open character becomes U+FFFD. The decoder can then start another. */
  flush(): string {
    return this.decoder.decode();
  }
}
