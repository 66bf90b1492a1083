/**
 * tokenizer.json of a SentencePiece-style BPE, as Hugging Face writes Llama 2's: spaces become U+2581, a BPE model with byte fallback.
 * Its merges have no equal ranks; where the vocabulary has scores they are kept beside the merges (`scores`, which other readers
 * pass over), so that reading it here gives an equal tokenizer even for runs of one character.
 */
import type { SymbolMerges } from './spm-merger.ts';
import type { SpmModel } from './spm-tokenizer.ts';
import { type TokenizerJson, tokenizerJson } from './tokenizer-json.ts';

const MARK = '\u2581';

export function spmJson(model: SpmModel, { merges }: SymbolMerges): TokenizerJson {
  const added = new Set(model.addedTokens.map((token) => token.id));
  const keys = model.tokens.map((text, id) => (added.has(id) ? text : text?.replaceAll(' ', MARK)));
  const pairs: [string, string][] = [];
  for (let at = 0; at < merges.length; at += 3) {
    const [left, right] = [keys[merges[at]!], keys[merges[at + 1]!]];
    if (left !== undefined && right !== undefined) pairs.push([left, right]);
  }
  return tokenizerJson(model, keys, {
    ...spacing(model),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: MARK }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(model.dropsSpace ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: model.unknownId === undefined ? null : keys[model.unknownId],
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: model.fusesUnknown,
      byte_fallback: model.byteIds.some((id) => id >= 0),
      ignore_merges: false,
      vocab: Object.fromEntries(keys.flatMap((key, id) => (key === undefined ? [] : [[key, id]]))),
      merges: pairs,
      ...(model.scores ? { scores: [...model.scores] } : {}),
    },
  });
}

function spacing(model: SpmModel): Pick<TokenizerJson, 'normalizer' | 'pre_tokenizer'> {
  const before = model.normalizer ?? [];
  const sequence = (steps: readonly unknown[]) =>
    steps.length > 0 ? { type: 'Sequence', normalizers: steps } : null;
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: MARK };
  const isLlama = model.spacePrefix === 'always' && !model.keepsSpace;
  if (!model.splitsAtSpaces && (isLlama || model.spacePrefix === 'never')) {
    const prepend = isLlama ? [{ type: 'Prepend', prepend: MARK }] : [];
    return { normalizer: sequence([...before, ...prepend, replace]), pre_tokenizer: null };
  }
  const pre_tokenizer = {
    type: 'Metaspace',
    replacement: MARK,
    prepend_scheme: model.spacePrefix,
    split: model.splitsAtSpaces,
  };
  return { normalizer: sequence(before), pre_tokenizer };
}
