/** The two ways in which a tokenizer's file is refused. */
import { DabarexError } from '../base/index.ts';

export function tokenizerInvalid(where: string, problem: string): DabarexError {
  return new DabarexError(
    'tokenizer_invalid',
    `${where} is not a valid tokenizer: ${problem}. Take the file from its source again, or train the tokenizer again.`,
    { where },
  );
}

export function tokenizerUnsupported(where: string, what: string): DabarexError {
  return new DabarexError(
    'tokenizer_unsupported',
    `${where} uses ${what}, which dabarex does not do as its author meant. Use a byte-level BPE (GPT-2, GPT-4, Llama 3, Qwen, DBRX) or a BPE of SentencePiece (Llama 2, Mistral, Gemma).`,
    { where },
  );
}
