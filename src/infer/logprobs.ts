/** Log-probabilities of tokens under the model's own distribution: of the logits as they come, in float64. */
import type { TextCodec } from './model.ts';
import type { TokenChoice, TokenLogprob } from './request.ts';

/** What JSON can hold in place of minus infinity (as OpenAI and vLLM do). */
const LOWEST_LOGPROB = -9999;

/** The entry for token `id` after a row of logits [vocabSize], with the `topCount` likeliest tokens. */
export function tokenLogprob(
  codec: TextCodec,
  logits: Float32Array,
  id: number,
  topCount: number,
): TokenLogprob {
  const normalizer = logSumExp(logits);
  const entry = (token: number) => tokenChoice(codec, token, logits[token] - normalizer);
  return { ...entry(id), top: likeliest(logits, topCount).map(entry) };
}

/** A token with its text and bytes. */
export function tokenChoice(codec: TextCodec, id: number, logprob: number): TokenChoice {
  const bytes = codec.tokenBytes(id);
  return {
    id,
    text: tokenText(bytes),
    bytes: [...bytes],
    logprob: Number.isFinite(logprob) ? logprob : LOWEST_LOGPROB,
  };
}

/** A token's text; a part of a UTF-8 sequence is spelled out, so that two tokens never share a text. */
function tokenText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `bytes:${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}

function logSumExp(logits: Float32Array): number {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > max) max = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  return max + Math.log(sum);
}

/** Ids of the `count` largest logits, largest first, ties by id. */
function likeliest(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < logits.length && count > 0; id++) {
    if (ids.length === count && logits[id] <= logits[ids[count - 1]]) continue;
    let place = ids.length;
    while (place > 0 && logits[id] > logits[ids[place - 1]]) place--;
    ids.splice(place, 0, id);
    if (ids.length > count) ids.pop();
  }
  return ids;
}
