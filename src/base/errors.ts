/**
 * Errors as data: a code, the fields that matter, and a message that says what happened, the values found and
 * what to do. Users' mistakes throw a {@link DabarexError}; `assert` is for mistakes of our own.
 * Every code stands in {@link ERROR_CODES} with one paragraph in docs/errors.md (a house test compares the two).
 */

/** Every code of dabarex, `room_problem`; docs/errors.md explains each. Keep sorted. */
// biome-ignore format: one code a line
export const ERROR_CODES = [
  'address_unusable',
  'cache_too_small',
  'chat_invalid',
  'checkpoint_corrupt',
  'checkpoint_incomplete',
  'checkpoint_index_invalid',
  'checkpoint_mismatch',
  'checkpoint_not_found',
  'config_invalid',
  'config_unknown_key',
  'context_length_exceeded',
  'curriculum_past_changed',
  'data_empty',
  'data_too_small',
  'disk_full',
  'documents_invalid',
  'engine_stopped',
  'file_missing',
  'gguf_invalid',
  'gguf_not_representable',
  'gguf_type_unsupported',
  'host_not_allowed',
  'kernel_arguments_invalid',
  'kernel_memory_exhausted',
  'llama2c_invalid',
  'logits_not_finite',
  'machine_unfit',
  'model_family_unknown',
  'model_format_unknown',
  'model_not_found',
  'model_not_ready',
  'model_not_representable',
  'not_permitted',
  'object_changed',
  'object_corrupt',
  'object_key_invalid',
  'object_missing',
  'path_unusable',
  'port_in_use',
  'preparation_memory_exhausted',
  'request_invalid',
  'run_locked',
  'run_missing',
  'run_name_invalid',
  'run_recipe_differs',
  'safetensors_invalid',
  'sample_invalid',
  'sequence_length_mismatch',
  'server_overloaded',
  'server_stopped',
  'shard_compression_unsupported',
  'shard_corrupt',
  'shard_encoding_unsafe',
  'shard_index_invalid',
  'shard_missing',
  'shard_truncated',
  'source_corrupt',
  'source_fetch_failed',
  'source_hash_mismatch',
  'source_not_found',
  'source_too_large',
  'source_url_invalid',
  'store_read_only',
  'store_refused',
  'store_unreachable',
  'store_url_invalid',
  'text_changed',
  'text_invalid',
  'token_out_of_range',
  'tokenizer_invalid',
  'tokenizer_not_representable',
  'tokenizer_unsupported',
  'tokenizer_vocab_size',
  'training_diverged',
  'usage_invalid',
  'weights_not_representable',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export type ErrorFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** An error a user can act on. `message` is one or two sentences: what, where, what to do. */
export class DabarexError extends Error {
  override readonly name = 'DabarexError';
  readonly code: ErrorCode;
  readonly fields: ErrorFields;

  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.fields = fields;
  }
}

/** Throws when an invariant of our own code is broken; never for what a user can cause. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
