/**
 * The mix of a run at work: the recipe's curriculum, what the control file asked for, and what the event log says that it
 * asked for in steps which an interrupted run had made and a resumed one makes again.
 */
import { DabarexError } from '../../base/index.ts';
import { MixRequestReader, type RunDirectory, type RunEvent } from '../../runs/index.ts';
import {
  Curriculum,
  type Mix,
  MixSchedule,
  normalise,
  type Position,
  type TrainConfig,
} from '../../train/index.ts';
import type { DataConfig } from '../data-config.ts';
import { type Recipe, requirePart } from '../recipe.ts';
import { findResumePoint } from './checkpoints.ts';

export interface RunMixOptions {
  readonly run: RunDirectory;
  readonly train: TrainConfig;
  readonly curriculum: DataConfig['curriculum'];
  /** domain -> samples: the mix of a run without curriculum */
  readonly samples: Readonly<Record<string, number>>;
  /** where training starts from, and the changed mix in force there */
  readonly start: { readonly step: number; readonly changedMix: Mix | null };
  log(text: string): void;
}

export class RunMix {
  readonly schedule: MixSchedule;
  private readonly options: RunMixOptions;
  private readonly requests: MixRequestReader;
  /** of the last request that the log knows */
  private known: string | undefined;

  /** @throws config_invalid for a curriculum that does not add up */
  constructor(options: RunMixOptions) {
    const { run, train, curriculum, samples, start } = options;
    this.options = options;
    const phases = curriculum ?? [{ duration: 'rest', weights: samples, rampFraction: 1 }];
    const events = run.readEvents().values;
    this.schedule = new MixSchedule(new Curriculum(phases, train), [
      { step: start.step, weights: start.changedMix },
      ...changesSince(events, start.step),
    ]);
    this.known = events.findLast(
      (each) => each.type === 'mix_changed' || each.type === 'mix_rejected',
    )?.digest;
    this.requests = new MixRequestReader(run.path, Object.keys(samples));
  }

  /** Looks at the control file before a step; a new request holds from this step on. */
  look({ step, tokens }: Position): void {
    const request = this.requests.look();
    if (!request || request.digest === this.known) return;
    const { digest, weights } = request;
    this.known = digest;
    const { run, log } = this.options;
    if (weights instanceof DabarexError) {
      const { code, message } = weights;
      run.appendEvent({ type: 'mix_rejected', step, code, message, digest });
      log(`step ${step}: the mix stays as it is: ${message}`);
      return;
    }
    const mix = weights === 'curriculum' ? null : normalise(weights);
    this.schedule.change({ step, weights: mix });
    run.appendEvent({ type: 'mix_changed', step, tokens, weights: mix, digest });
    log(`step ${step}: the mix is ${mix ? describeMix(mix) : 'that of the curriculum again'}`);
  }
}

/**
 * A curriculum may change when its run is resumed, but not in what the run has drawn from: LLM Foundry's rule.
 * @throws curriculum_past_changed
 */
export function requireSamePast(stored: Recipe, given: Recipe, runPath: string): void {
  const [before, after] = [stored, given].map((each) => each.data?.curriculum);
  const position = findResumePoint(runPath);
  if (!position || position.step === 0 || (!before && !after)) return;
  const train = requirePart(given, 'train');
  if (!before || !after) {
    const problem = before ? 'drew from a curriculum and has none now' : 'drew from none and has one now';
    throw new DabarexError(
      'curriculum_past_changed',
      `${runPath} stands at step ${position.step}; its steps so far ${problem}. Set data.curriculum back, or change the mix ` +
        'of the running job with "dabarex runs mix".',
      { path: runPath, step: position.step },
    );
  }
  new Curriculum(before, train).requireSamePast(new Curriculum(after, train), position, runPath);
}

/** `prose 0.7, code 0.3` */
export function describeMix(mix: Mix): string {
  return Object.entries(mix)
    .map(([name, share]) => `${name} ${Number(share.toFixed(4))}`)
    .join(', ');
}

/** What the log says of steps that are made again: changes of an earlier way past them do not count. */
function changesSince(events: readonly RunEvent[], step: number) {
  let way: { step: number; weights: Mix | null }[] = [];
  for (const each of events) {
    if (each.type !== 'mix_changed') continue;
    way = [...way.filter((before) => before.step < each.step), { step: each.step, weights: each.weights }];
  }
  return way.filter((each) => each.step >= step);
}
