/**
 * The vocabulary of a byte-level BPE as GGUF's metadata, and back. Tokens and merges stand there as in tokenizer.json; what is missing is
 * the split pattern, which GGUF names (`tokenizer.ggml.pre`).
 * Limits: a tokenizer of characters has no counterpart; SentencePiece vocabularies are copied from GGUF to GGUF only.
 * @see ggml-org/llama.cpp, llama-vocab.cpp
 */
import { DabarexError } from '../base/index.ts';
import {
  type GgufFile,
  type GgufValue,
  ggufBool,
  ggufNumber,
  ggufNumbers,
  ggufString,
  ggufStrings,
} from '../checkpoint/index.ts';
import {
  parseTokenizer,
  SPLIT_PATTERN_SOURCES,
  type SplitPattern,
  type Tokenizer,
  type TokenizerJson,
} from '../tokenizer/index.ts';

const TOKEN_TYPES = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/** Names of split patterns in GGUF; the first of a pattern is written. */
const PRE_TOKENIZERS: readonly (readonly [pre: string, pattern: SplitPattern])[] = [
  ['dbrx', 'cl100k'],
  ['llama-bpe', 'cl100k'],
  ['gpt-2', 'gpt2'],
  ['qwen2', 'qwen2'],
];

interface BpeParts {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (string | readonly [string, string])[];
}

/**
 * Metadata for a vocabulary of `rows` tokens, those past the tokenizer's as padding.
 * @throws model_not_representable for a tokenizer that is no byte-level BPE or splits text in a way that llama.cpp has no name for
 */
export function ggufVocabulary(tokenizer: Tokenizer, rows: number, path: string): Map<string, GgufValue> {
  const json = tokenizer.toJSON();
  if (json.model.type !== 'BPE') {
    throw notRepresentable(
      path,
      `its tokenizer is ${String(json.model.type)}, and GGUF holds byte-level BPE`,
    );
  }
  const { vocab, merges } = json.model as unknown as BpeParts;
  const pre = preOf(json);
  if (!pre)
    throw notRepresentable(path, 'llama.cpp has no name for the pattern its tokenizer splits text by');
  const tokens = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const types = new Int32Array(rows).fill(TOKEN_TYPES.unused);
  for (const [text, id] of Object.entries(vocab)) {
    tokens[id] = text;
    types[id] = TOKEN_TYPES.normal;
  }
  for (const { content, id, special } of json.added_tokens) {
    tokens[id] = content;
    types[id] = special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined;
  }
  const strings = (value: readonly string[]): GgufValue => ({ type: 'array', of: 'string', value });
  const end = { type: 'u32', value: tokenizer.endOfTextId } as const;
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: pre }],
    ['tokenizer.ggml.tokens', strings(tokens)],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: types }],
    [
      'tokenizer.ggml.merges',
      strings(merges.map((each) => (typeof each === 'string' ? each : each.join(' ')))),
    ],
    ['tokenizer.ggml.bos_token_id', end],
    ['tokenizer.ggml.eos_token_id', end],
    [
      'tokenizer.ggml.eot_token_id',
      { type: 'u32', value: tokenizer.specialTokens.get('<|im_end|>') ?? end.value },
    ],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
    ['tokenizer.ggml.add_eos_token', { type: 'bool', value: false }],
  ]);
}

/** The metadata of a file that concerns its tokenizer, as it stands. */
export function storedVocabulary({ metadata }: GgufFile): Map<string, GgufValue> {
  return new Map([...metadata].filter(([key]) => key.startsWith('tokenizer.')));
}

/** The tokenizer of a file. @throws tokenizer_unsupported, tokenizer_invalid */
export function ggufTokenizer(file: GgufFile): Tokenizer {
  const { path } = file;
  const model = ggufString(file, 'tokenizer.ggml.model');
  const tokens = ggufStrings(file, 'tokenizer.ggml.tokens');
  const merges = ggufStrings(file, 'tokenizer.ggml.merges');
  if (model !== 'gpt2' || !tokens || !merges) {
    throw unsupported(path, `a vocabulary of the kind ${JSON.stringify(model ?? null)}`);
  }
  const types = ggufNumbers(file, 'tokenizer.ggml.token_type');
  const vocab: Record<string, number> = {};
  const added: object[] = [];
  const eos = ggufNumber(file, 'tokenizer.ggml.eos_token_id');
  let id = 0;
  for (const text of tokens) {
    const type = types?.[id] ?? TOKEN_TYPES.normal;
    const isSpecial = type === TOKEN_TYPES.control || type === TOKEN_TYPES.userDefined || id === eos;
    if (isSpecial) added.push({ id, content: text, special: type !== TOKEN_TYPES.userDefined });
    else if (type !== TOKEN_TYPES.unused) Object.defineProperty(vocab, text, { value: id, enumerable: true });
    id++;
  }
  const json = {
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: preTokenizerOf(ggufString(file, 'tokenizer.ggml.pre') ?? 'default', path),
    model: {
      type: 'BPE',
      vocab,
      merges: [...merges],
      ignore_merges: ggufBool(file, 'tokenizer.ggml.ignore_merges') ?? false,
    },
  };
  return parseTokenizer(json, path);
}

function preOf(json: TokenizerJson): string | undefined {
  const text = JSON.stringify(json.pre_tokenizer);
  return PRE_TOKENIZERS.find(([, pattern]) =>
    text.includes(JSON.stringify(SPLIT_PATTERN_SOURCES[pattern])),
  )?.[0];
}

function preTokenizerOf(pre: string, path: string): object {
  const pattern = PRE_TOKENIZERS.find(([name]) => name === pre)?.[1];
  if (!pattern) throw unsupported(path, `the pre-tokenizer ${JSON.stringify(pre)}`);
  return {
    type: 'Sequence',
    pretokenizers: [
      {
        type: 'Split',
        pattern: { Regex: SPLIT_PATTERN_SOURCES[pattern] },
        behavior: 'Isolated',
        invert: false,
      },
      { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
    ],
  };
}

function notRepresentable(path: string, reason: string): DabarexError {
  return new DabarexError(
    'model_not_representable',
    `${path} cannot become GGUF: ${reason}. Keep it as a folder.`,
    {
      path,
      reason,
    },
  );
}

function unsupported(path: string, what: string): DabarexError {
  return new DabarexError(
    'tokenizer_unsupported',
    `${path} has ${what}, which is not supported. Name a tokenizer.json with --tokenizer.`,
    { path, what },
  );
}
