/**
 * What of a long text or conversation still fits the model's context: its end. Tokens are estimated from the last answer's
 * count; where that is too low the server refuses, and a shorter part is tried.
 */
import type { ChatTurn } from './completion-stream.ts';

export interface Context {
  /** tokens of prompt and answer together */
  readonly length: number;
  /** to keep free for the answer */
  readonly maxTokens: number;
  /** 0 where nothing was counted yet: then all is tried first */
  readonly tokensPerCharacter: number;
}

/** The newest turns that fit, from a message of the user on; the last one always. */
export function fittingTurns(turns: readonly ChatTurn[], context: Context): readonly ChatTurn[] {
  let kept = turns;
  while (charactersOf(kept) > room(context)) {
    const shorter = withoutOldest(kept);
    if (!shorter) break;
    kept = shorter;
  }
  return kept;
}

/** Without the oldest message and its answer; undefined where only one message is left. */
export function withoutOldest(turns: readonly ChatTurn[]): readonly ChatTurn[] | undefined {
  const next = turns.findIndex((turn, i) => i > 0 && turn.role === 'user');
  return next < 0 ? undefined : turns.slice(next);
}

/** The end of a text that fits. */
export function fittingEnd(text: string, context: Context): string {
  return endOf(text, room(context));
}

/** The last `count` characters at most, whole ones. */
export function endOf(text: string, count: number): string {
  if (text.length <= count) return text;
  const end = text.slice(text.length - Math.max(0, Math.floor(count)));
  return /^[\udc00-\udfff]/.test(end) ? end.slice(1) : end;
}

export function charactersOf(input: string | readonly ChatTurn[]): number {
  return typeof input === 'string' ? input.length : input.reduce((sum, turn) => sum + turn.content.length, 0);
}

/** Characters that the prompt may have. */
function room({ length, maxTokens, tokensPerCharacter }: Context): number {
  const answer = Math.min(maxTokens, Math.floor(length / 2));
  return tokensPerCharacter > 0 ? (length - answer) / tokensPerCharacter : Number.POSITIVE_INFINITY;
}
