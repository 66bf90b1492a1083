export { type CodecOptions, codecOf } from './codec.ts';
export { Engine, type EngineConfig, engineConfigSchema } from './engine.ts';
export { EngineClient, type EngineClientOptions } from './engine-client.ts';
export { EventQueue } from './event-queue.ts';
export type { ChatMessage, InferenceModel, KvCache, TextCodec } from './model.ts';
export type { LoadModel } from './protocol.ts';
export type {
  EngineInfo,
  FinishReason,
  GenerateEvent,
  GenerateRequest,
  Prompt,
  SamplingParams,
  TextGenerator,
  TokenChoice,
  TokenLogprob,
  Usage,
} from './request.ts';
