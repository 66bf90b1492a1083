/** What long work reports as it goes; rooms call it, `cli` draws it. */
export interface Progress {
  /** what is being done, for the label: `download`, `merge`, `train` */
  readonly stage: string;
  readonly done: number;
  /** 0 where the whole is not known */
  readonly total: number;
  /** of `done` and `total`: `bytes`, `documents`, `tokens`, `merges` */
  readonly unit: string;
}

export type OnProgress = (progress: Progress) => void;
