/**
 * Conversations as text and as ids, by a Jinja template as in tokenizer_config.json; the default is ChatML as DBRX
 * renders it, without its default system prompt.
 *
 * Injection: before rendering, a lone surrogate is put after every character of a message that could begin a special
 * token. No text that is well formed has one, so no special token is found in what a user wrote, whatever the template
 * does with it; the marks are taken out again before ordinary text is encoded. Only the beginnings of texts that the template itself
 * looks for (such as `</think>`) stay as they are, unless they hold a special token.
 */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { patternOfAny } from './added-tokens.ts';
import { ChatTemplate } from './chat-template.ts';
import { END_OF_TEXT, IM_END, PAD, type Tokenizer, wellFormed } from './tokenizer.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
}

export interface ChatOptions {
  /** end with the opening of the assistant's turn; default false */
  readonly addGenerationPrompt?: boolean;
  /** Jinja source; default {@link CHATML_TEMPLATE} */
  readonly chatTemplate?: string;
  /** used where the conversation has no system message of its own; default none */
  readonly defaultSystemPrompt?: string;
  /** text that the template sees as `bos_token`; default: `<|endoftext|>`, in {@link encodeChat} the tokenizer's */
  readonly beginOfText?: string;
  /** as {@link beginOfText}, for `eos_token` */
  readonly endOfText?: string;
  /** other values that the template sees */
  readonly values?: Readonly<Record<string, unknown>>;
}

export const CHATML_TEMPLATE = `{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% set loop_messages = messages[1:] %}{% else %}{% set system_message = default_system_prompt %}{% set loop_messages = messages %}{% endif %}{% for message in loop_messages %}{% if loop.first %}{% if system_message %}{{ '<|im_start|>system\\n' + system_message.strip() + '<|im_end|>\\n' }}{% endif %}{% else %}{{ '\\n' }}{% endif %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}{% if loop.last and add_generation_prompt %}{{ '\\n<|im_start|>assistant\\n' }}{% endif %}{% endfor %}`;

const MARK = '\udc00';
const messagesSchema = z
  .array(z.object({ role: z.enum(['system', 'user', 'assistant', 'tool']), content: z.string() }))
  .min(1);

/**
 * The text of a conversation, for people to read; what users wrote may look like special tokens in it.
 * @throws chat_invalid
 */
export function renderChat(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
  const parsed = messagesSchema.safeParse(messages);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw invalid(`messages${issue.path.map((part) => `[${String(part)}]`).join('')}: ${issue.message}`);
  }
  let text: string;
  try {
    text = new ChatTemplate(options.chatTemplate ?? CHATML_TEMPLATE).render({
      ...options.values,
      messages: parsed.data,
      add_generation_prompt: options.addGenerationPrompt ?? false,
      default_system_prompt: options.defaultSystemPrompt ?? '',
      bos_token: options.beginOfText ?? END_OF_TEXT,
      eos_token: options.endOfText ?? END_OF_TEXT,
    });
  } catch (cause) {
    throw invalid(`the chat template failed: ${(cause as Error).message}`, cause);
  }
  if (text === '') throw invalid('the template renders nothing: a conversation needs a message of a user');
  return text;
}

/**
 * The ids of a conversation. Special tokens come from the template alone, never from a message.
 * @throws chat_invalid
 */
export function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Int32Array {
  const specials = [...tokenizer.specialTokens.keys()];
  const mark = marker(specials, options.chatTemplate ?? CHATML_TEMPLATE);
  const marked = messages.map((each) => ({ ...each, content: mark(each.content) as string }));
  const system = options.defaultSystemPrompt;
  const text = renderChat(marked, {
    beginOfText: textOf(tokenizer, tokenizer.beginOfTextId),
    endOfText: textOf(tokenizer, tokenizer.endOfTextId),
    ...options,
    defaultSystemPrompt: mark(system) as string | undefined,
  });
  const ids: number[] = [];
  const ordinary = (span: string) => {
    for (const id of tokenizer.encode(span.replaceAll(MARK_ALONE, ''), { continues: ids.length > 0 }))
      ids.push(id);
  };
  let start = 0;
  for (const match of text.matchAll(patternOfAny(specials) ?? /(?!)/g)) {
    ordinary(text.slice(start, match.index));
    ids.push(tokenizer.specialTokens.get(match[0])!);
    start = match.index + match[0].length;
  }
  ordinary(text.slice(start));
  return Int32Array.from(ids);
}

/** Puts marks into what is text. */
function marker(specials: readonly string[], template: string): (text: unknown) => unknown {
  const firsts = [...new Set(specials.map((special) => [...special][0]!))];
  if (firsts.length === 0) return (text) => text;
  const kept = literalsOf(template).filter(
    (literal) =>
      firsts.includes([...literal][0]!) &&
      !specials.some((special) => literal.includes(special) || special.startsWith(literal)),
  );
  const pattern = patternOfAny([...kept, ...firsts])!;
  const isFirst = new Set(firsts);
  return (text) =>
    typeof text === 'string'
      ? wellFormed(text).replace(pattern, (found) => (isFirst.has(found) ? found + MARK : found))
      : text;
}

function literalsOf(template: string): readonly string[] {
  try {
    return new ChatTemplate(template).literals;
  } catch {
    return []; // rendering says what is wrong with it
  }
}

/** The text of a special token; empty without one. */
function textOf(tokenizer: Tokenizer, id: number | undefined): string {
  return [...tokenizer.specialTokens].find(([, each]) => each === id)?.[0] ?? '';
}

/** The mark, not the second half of a pair. */
const MARK_ALONE = /\p{Surrogate}/gu;

/** The content of a tokenizer_config.json beside tokenizer.json. */
export function tokenizerConfig(
  tokenizer: Tokenizer,
  chatTemplate = CHATML_TEMPLATE,
): Record<string, unknown> {
  const known = (text: string) => (tokenizer.specialTokens.has(text) ? text : null);
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: known(END_OF_TEXT),
    eos_token: known(END_OF_TEXT),
    unk_token: known('<unk>') ?? known(END_OF_TEXT),
    pad_token: known(PAD),
    add_bos_token: false,
    add_eos_token: false,
    clean_up_tokenization_spaces: false,
    ...(known(IM_END) ? { chat_template: chatTemplate } : {}),
  };
}

function invalid(problem: string, cause?: unknown): DabarexError {
  return new DabarexError('chat_invalid', `The conversation cannot be rendered: ${problem}.`, {}, { cause });
}
