/** What the HTTP API of runs answers; the dashboard imports these types. */
import type { RunEvent, RunMetrics } from './events.ts';
import type { Recipe } from './read.ts';
import type { RunStatus } from './status.ts';

/** An element of GET /api/runs. */
export interface RunListEntry {
  readonly name: string;
  readonly status: RunStatus;
  readonly lastMetrics?: RunMetrics;
  readonly sizeBytes: number;
}

/** GET /api/runs/NAME */
export interface RunDetail {
  readonly name: string;
  readonly recipe: Recipe;
  readonly status: RunStatus;
  readonly lastMetrics?: RunMetrics;
}

/** GET /api/runs/NAME/metrics, and the `metrics` message of the stream. */
export interface MetricsPage {
  readonly metrics: readonly RunMetrics[];
  /** the `since` of the next request; equal to the `since` given when there is nothing new */
  readonly next: number;
  /** the file was rewritten (a resume went back to a checkpoint): forget what came before, this starts anew */
  readonly reset: boolean;
}

/** GET /api/runs/NAME/events, and the `events` message of the stream. */
export interface EventsPage {
  readonly events: readonly RunEvent[];
  readonly next: number;
  readonly reset: boolean;
}
