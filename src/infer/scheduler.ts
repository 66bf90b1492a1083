/**
 * Continuous batching: which rows run in the next step. Requests are admitted to fixed slots first come, first served;
 * a step runs one row of every decoding sequence, then fills its token budget with chunks of waiting prompts, so that
 * a long prompt never holds up the others (Orca, Yu et al. 2022; chunked prefill, Agrawal et al. 2023).
 * A slot's cache is as long as the context: no paging, no preemption, no sharing of prefixes.
 */
import { DabarexError } from '../base/index.ts';
import type { Sequence } from './sequence.ts';

export interface SchedulerLimits {
  /** sequences that run at once */
  readonly slots: number;
  /** sequences that wait at most */
  readonly maxQueue: number;
  /** rows of a step at most; decoding rows are never held back */
  readonly tokenBudget: number;
}

/** `count` rows of `sequence` from its token `start` on. */
export interface Scheduled {
  readonly sequence: Sequence;
  readonly start: number;
  readonly count: number;
}

export class Scheduler {
  private readonly limits: SchedulerLimits;
  private readonly free: number[];
  private readonly waiting: Sequence[] = [];
  private readonly running: Sequence[] = [];

  constructor(limits: SchedulerLimits) {
    this.limits = limits;
    this.free = Array.from({ length: limits.slots }, (_, slot) => limits.slots - 1 - slot);
  }

  get numRunning(): number {
    return this.running.length;
  }

  get numWaiting(): number {
    return this.waiting.length;
  }

  /** @throws server_overloaded when the queue is full */
  add(sequence: Sequence): void {
    const { slots, maxQueue } = this.limits;
    if (this.waiting.length + this.running.length >= slots + maxQueue) {
      throw new DabarexError(
        'server_overloaded',
        `${this.running.length} requests are running and ${this.waiting.length} waiting, as many as fit. Try again shortly.`,
        { running: this.running.length, waiting: this.waiting.length },
      );
    }
    this.waiting.push(sequence);
  }

  /** Takes a sequence out, wherever it is, and frees its slot. */
  remove(sequence: Sequence): void {
    const waiting = this.waiting.indexOf(sequence);
    if (waiting >= 0) this.waiting.splice(waiting, 1);
    const running = this.running.indexOf(sequence);
    if (running < 0) return;
    this.running.splice(running, 1);
    this.free.push(sequence.slot);
    sequence.slot = -1;
  }

  /** Admits what fits and picks the rows of the next step; [] when there is nothing to do. */
  next(): Scheduled[] {
    while (this.free.length > 0 && this.waiting.length > 0) {
      const sequence = this.waiting.shift()!;
      sequence.slot = this.free.pop()!;
      this.running.push(sequence);
    }
    const step: Scheduled[] = [];
    for (const sequence of this.running) {
      if (sequence.pending === 1) step.push({ sequence, start: sequence.computed, count: 1 });
    }
    let budget = Math.max(1, this.limits.tokenBudget - step.length);
    for (const sequence of this.running) {
      if (sequence.pending === 1 || budget === 0) continue;
      const count = Math.min(sequence.pending, budget);
      step.push({ sequence, start: sequence.computed, count });
      budget -= count;
    }
    return step;
  }

  /** Every sequence, running or waiting. */
  all(): Sequence[] {
    return [...this.running, ...this.waiting];
  }
}
