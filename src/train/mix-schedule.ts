/**
 * The mix that a run draws from at every step: its curriculum, unless someone has changed the mix of the running job. A
 * change holds from its step on, until the next; those that an interrupted run had made before are known in advance when
 * it is resumed from an earlier checkpoint, so that the same steps draw from the same mixes again.
 */
import type { Curriculum, Mix } from './curriculum.ts';
import type { Position } from './duration.ts';

/** `weights`: shares of the domains; null: back to the curriculum. */
export interface MixChange {
  readonly step: number;
  readonly weights: Mix | null;
}

export class MixSchedule {
  private readonly curriculum: Pick<Curriculum, 'phaseAt' | 'mixAt'>;
  /** by step */
  private changes: readonly MixChange[];

  /** @param changes in the order in which they were made; each supersedes those before it of its step or later */
  constructor(curriculum: Pick<Curriculum, 'phaseAt' | 'mixAt'>, changes: readonly MixChange[] = []) {
    this.curriculum = curriculum;
    this.changes = [];
    for (const each of changes) this.change(each);
  }

  /** From `change.step` on; what was to come then or later no longer does. */
  change(change: MixChange): void {
    this.changes = [...this.changes.filter((each) => each.step < change.step), change];
  }

  /** What holds in place of the curriculum at a step, counted from 0; null: nothing. */
  changedMixAt(step: number): Mix | null {
    return this.changes.findLast((each) => each.step <= step)?.weights ?? null;
  }

  mixAt(position: Position): Mix {
    return this.changedMixAt(position.step) ?? this.curriculum.mixAt(position);
  }

  phaseAt(position: Position): number {
    return this.curriculum.phaseAt(position);
  }
}
