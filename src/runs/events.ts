/** What a run writes down: the lines of events.jsonl and metrics.jsonl. Readers ignore keys they do not know. */

export const STAGES = ['prepare', 'tokenizer', 'shards', 'train', 'evaluate', 'serve'] as const;
export type Stage = (typeof STAGES)[number];

export interface DomainEvaluation {
  readonly bits_per_byte: number;
  readonly loss_nats: number;
  /** of held-out text that was evaluated, in UTF-8 */
  readonly text_bytes?: number;
  /** `xz -9e` on the same held-out bytes, for scale */
  readonly xz_bits_per_byte?: number;
}

/** An event without its time, as given to `appendEvent`. */
export type RunEventBody =
  | { readonly type: 'run_started' }
  | { readonly type: 'run_resumed' }
  | { readonly type: 'run_interrupted' }
  | { readonly type: 'run_completed' }
  | { readonly type: 'run_failed'; readonly code: string; readonly message: string }
  | {
      readonly type: 'stage_started';
      readonly stage: Stage;
      /** of the `train` stage, where known */
      readonly total_steps?: number;
      readonly total_tokens?: number;
      readonly parameters_total?: number;
      readonly parameters_active?: number;
      readonly [detail: string]: unknown;
    }
  | {
      readonly type: 'stage_completed';
      readonly stage: Stage;
      readonly seconds: number;
      readonly [detail: string]: unknown;
    }
  | { readonly type: 'sample'; readonly step: number; readonly prompt: string; readonly text: string }
  | { readonly type: 'checkpoint_saved'; readonly step: number; readonly path: string }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      readonly domains: Readonly<Record<string, DomainEvaluation>>;
    }
  | {
      readonly type: 'phase_started';
      readonly phase: number;
      readonly weights: Readonly<Record<string, number>>;
      readonly ramp?: 'linear';
      readonly step?: number;
    }
  | {
      /** the mix of the running job was changed, for the steps after `step`; null: back to the curriculum */
      readonly type: 'mix_changed';
      readonly step: number;
      readonly tokens: number;
      readonly weights: Readonly<Record<string, number>> | null;
      /** of the request */
      readonly digest: string;
    }
  | {
      readonly type: 'mix_rejected';
      readonly step: number;
      readonly code: string;
      readonly message: string;
      readonly digest: string;
    };

/** A line of events.jsonl; `time` is ISO 8601, UTC. */
export type RunEvent = { readonly time: string } & RunEventBody;

/** A line of metrics.jsonl; a key is absent where it was not measured at that step. */
export interface RunMetrics {
  readonly time: string;
  readonly step: number;
  readonly tokens?: number;
  readonly loss_train_nats?: number;
  readonly loss_eval_nats?: number;
  readonly loss_balance?: number;
  readonly bits_per_byte_train?: number;
  readonly tokens_per_second?: number;
  /** model FLOPs utilisation, 0..1 */
  readonly mfu?: number;
  readonly learning_rate?: number;
  readonly grad_norm?: number;
  readonly eta_seconds?: number;
  readonly loader_stall_fraction?: number;
  readonly padding_fraction?: number;
  readonly [domain: `mix.${string}`]: number;
  readonly [domain: `eval_bits_per_byte.${string}`]: number;
  /** fraction of the routed tokens that went to each expert; sums to 1 */
  readonly [layer: `expert_load.${number}`]: readonly number[];
}

/** Metrics without their time, as given to `appendMetrics`. */
export type RunMetricsBody = Omit<RunMetrics, 'time'> & { readonly step: number };

/** Whether a line has what every reader relies on: its time and its kind. */
export function isRunEvent(line: object): line is RunEvent {
  const { time, type } = line as Partial<RunEvent>;
  return isTime(time) && typeof type === 'string';
}

/** Whether a line has its time and step, and no text where figures belong; what was not finite stands as null. */
export function isRunMetrics(line: object): line is RunMetrics {
  const { time, step, ...figures } = line as Partial<RunMetrics>;
  const isFigure = (value: unknown) => typeof value === 'number' || value === null || Array.isArray(value);
  return isTime(time) && typeof step === 'number' && Object.values(figures).every(isFigure);
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}
