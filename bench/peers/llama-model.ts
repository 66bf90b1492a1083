/**
 * A model run by llama.cpp through its C API, on one thread or more, without a GPU. Structs are those of the release that
 * {@link findLlamaCpp} pins: only the fields set here are named, by their place; the defaults are checked before use.
 */
import type { LlamaCpp } from './llama-cpp.ts';

/** Words of llama_context_params; more than it has, since it is passed by value as the last argument. */
const WORDS = 96;
/** Place of fields in 32-bit words. */
const CONTEXT = {
  length: 0,
  batch: 1,
  sequences: 3,
  threads: 7,
  batchThreads: 8,
  flash: 13,
  keyType: 26,
  valueType: 27,
} as const;
const F32 = 0;
const FLASH_OFF = 0;

type Pointer = unknown;

export interface LlamaModelOptions {
  readonly threads: number;
  /** tokens that all sequences together may have */
  readonly contextLength: number;
  /** default 1 */
  readonly sequences?: number;
}

interface Api {
  modelDefaults(): { words: Uint32Array };
  contextDefaults(): { words: Uint32Array };
  loadModel(path: string, parameters: object): Pointer;
  createContext(model: Pointer, parameters: object): Pointer;
  freeModel(model: Pointer): void;
  freeContext(context: Pointer): void;
  vocabulary(model: Pointer): Pointer;
  vocabularySize(vocabulary: Pointer): number;
  memory(context: Pointer): Pointer;
  clear(memory: Pointer, data: boolean): void;
  decode(context: Pointer, batch: object): number;
  logitsAt(context: Pointer, row: number): Pointer;
}

export class LlamaModel {
  readonly vocabSize: number;
  private readonly llama: LlamaCpp;
  private readonly api: Api;
  private readonly model: Pointer;
  private readonly context: Pointer;

  /** @throws Error where llama.cpp refuses the file */
  constructor(llama: LlamaCpp, path: string, options: LlamaModelOptions) {
    this.llama = llama;
    this.api = apiOf(llama);
    this.model = this.api.loadModel(path, this.api.modelDefaults());
    if (!this.model) throw new Error(`llama.cpp refuses ${path}`);
    const parameters = this.api.contextDefaults();
    const { words } = parameters;
    if (words[CONTEXT.length] !== 512 || words[CONTEXT.batch] !== 2048 || words[CONTEXT.keyType] !== 1) {
      throw new Error('llama_context_params is not laid out as expected');
    }
    words[CONTEXT.length] = options.contextLength;
    words[CONTEXT.sequences] = options.sequences ?? 1;
    words[CONTEXT.threads] = words[CONTEXT.batchThreads] = options.threads;
    words[CONTEXT.flash] = FLASH_OFF;
    words[CONTEXT.keyType] = words[CONTEXT.valueType] = F32;
    this.context = this.api.createContext(this.model, parameters);
    this.vocabSize = this.api.vocabularySize(this.api.vocabulary(this.model));
  }

  /** Logits after every token, [tokens, vocabSize], of one sequence from its start. */
  logits(tokens: Int32Array): Float32Array[] {
    this.api.clear(this.api.memory(this.context), true);
    const rows = Array.from(tokens, (token, position) => ({ token, position, sequence: 0 }));
    return this.decode(rows);
  }

  /** Runs rows that follow what the context holds; logits after each. */
  decode(
    rows: readonly { readonly token: number; readonly position: number; readonly sequence: number }[],
  ): Float32Array[] {
    const sequences = rows.map(({ sequence }) => Int32Array.of(sequence));
    const status = this.api.decode(this.context, {
      count: rows.length,
      token: Int32Array.from(rows, ({ token }) => token),
      embd: null,
      pos: Int32Array.from(rows, ({ position }) => position),
      numSequences: new Int32Array(rows.length).fill(1),
      sequences,
      logits: new Int8Array(rows.length).fill(1),
    });
    if (status !== 0) throw new Error(`llama_decode gave ${status}`);
    return rows.map((_, row) => this.llama.floats(this.api.logitsAt(this.context, row), this.vocabSize));
  }

  close(): void {
    this.api.freeContext(this.context);
    this.api.freeModel(this.model);
  }
}

/** C types have names of their own, so they are declared once. */
const apis = new WeakMap<LlamaCpp, Api>();

function apiOf(llama: LlamaCpp): Api {
  const known = apis.get(llama) ?? declare(llama);
  apis.set(llama, known);
  return known;
}

function declare(llama: LlamaCpp): Api {
  llama.defineStruct('LlamaParameters', { words: llama.array('uint32', WORDS) });
  llama.defineStruct('LlamaBatch', {
    count: 'int32',
    token: 'int32 *',
    embd: 'float *',
    pos: 'int32 *',
    numSequences: 'int32 *',
    sequences: 'int32 **',
    logits: 'int8 *',
  });
  llama.open('libggml.').func('void ggml_backend_load_all_from_path(const char *path)')(llama.folder);
  const library = llama.open('libllama.');
  library.func('void llama_log_set(void *callback, void *data)')(llama.silence(), null);
  return {
    modelDefaults: library.func('LlamaParameters llama_model_default_params()'),
    contextDefaults: library.func('LlamaParameters llama_context_default_params()'),
    loadModel: library.func('void *llama_model_load_from_file(const char *path, LlamaParameters parameters)'),
    createContext: library.func('void *llama_init_from_model(void *model, LlamaParameters parameters)'),
    freeModel: library.func('void llama_model_free(void *model)'),
    freeContext: library.func('void llama_free(void *context)'),
    vocabulary: library.func('void *llama_model_get_vocab(void *model)'),
    vocabularySize: library.func('int llama_vocab_n_tokens(void *vocabulary)'),
    memory: library.func('void *llama_get_memory(void *context)'),
    clear: library.func('void llama_memory_clear(void *memory, bool data)'),
    decode: library.func('int llama_decode(void *context, LlamaBatch batch)'),
    logitsAt: library.func('void *llama_get_logits_ith(void *context, int row)'),
  } as unknown as Api;
}
