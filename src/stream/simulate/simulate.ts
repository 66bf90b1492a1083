/**
 * A run of many nodes that fetch their shards while they train, without any of it: when each step can begin, how much is
 * fetched, how long the processors wait. What happens between two first uses of a shard is computed, not stepped through, so
 * the time it takes grows with the number of shards fetched, not with samples, steps or devices.
 *
 * The model: all nodes begin a step together, when each has the shards the step is the first to use; a node fetches one
 * shard after another, in the order of their first use, at its full bandwidth, as soon as the use lies `predownloadSteps`
 * ahead and the cache has room; the shard used longest ago goes first. A cache too small for what is used at one time
 * would fetch shards again and again: that is not followed but told (`cacheTooSmall`, `peakNeededBytes`).
 * Limits: bandwidth does not vary and requests do not fail; with fewer canonical nodes than nodes, the nodes that share
 * one are alike.
 */
import { lastAtMost } from '../../base/index.ts';
import { SimulatedCache } from './lru-cache.ts';
import { type LaneUses, laneUses, type UsesOptions } from './uses.ts';

export interface SimulateOptions extends UsesOptions {
  readonly nodes: number;
  /** sequences of all devices a step */
  readonly globalBatch: number;
  readonly numSteps: number;
  /** of computing alone */
  readonly stepSeconds: number;
  /** of one node */
  readonly bytesPerSecond: number;
  /** before the first byte of a shard arrives */
  readonly latencySeconds: number;
  /** of one node; absent: none */
  readonly cacheLimitBytes?: number;
  readonly predownloadSteps: number;
}

export interface SimulatedInterval {
  readonly endStep: number;
  readonly endSeconds: number;
  readonly stallSeconds: number;
  /** of all nodes together */
  readonly downloadBytes: number;
}

export interface Simulation {
  readonly numSteps: number;
  readonly totalSeconds: number;
  readonly timeToFirstBatchSeconds: number;
  /** waiting after the first batch */
  readonly stallSeconds: number;
  readonly stepsPerSecond: number;
  readonly numDownloads: number;
  readonly downloadBytes: number;
  /** of the node that fetches most */
  readonly maxNodeDownloads: number;
  readonly maxNodeDownloadBytes: number;
  readonly maxCacheBytes: number;
  /** the largest sum of shards in use at one time, on one node */
  readonly peakNeededBytes: number;
  readonly cacheTooSmall: boolean;
  /** how well samples are mixed: see {@link ShuffleQuality} */
  readonly quality: ShuffleQuality;
  readonly timeline: readonly SimulatedInterval[];
}

/** Of the first epoch; a full shuffle has 1 and all shards. */
export interface ShuffleQuality {
  /** share of its node's epoch over which the samples of a shard are spread, on average */
  readonly shardSpread: number;
  /** shards in use at one time, on average, on one node */
  readonly shardsInUse: number;
}

interface Need {
  readonly step: number;
  readonly lastStep: number;
  readonly shard: number;
}

interface NodeClass {
  readonly needs: readonly Need[];
  readonly count: number;
  readonly cache: SimulatedCache;
  next: number;
  linkFree: number;
  numDownloads: number;
  downloadBytes: number;
  maxCacheBytes: number;
}

const INTERVALS = 200;

/** @throws config_invalid where there are more canonical nodes than samples */
export function simulate(options: SimulateOptions): Simulation {
  const lanes = laneUses(options);
  const { classes, quality } = nodeClasses(options, lanes);
  const clock = new StepClock(options.stepSeconds);
  const timeline = new Timeline(options.numSteps);
  let cacheTooSmall = false;
  for (let step = nextStep(classes); step < options.numSteps; step = nextStep(classes)) {
    const earliest = clock.at(step);
    let ready = earliest;
    let fetched = 0;
    for (const each of classes) {
      const { readyAt, isTooSmall, bytes } = fetchNeeds(each, step, clock, options);
      ready = Math.max(ready, readyAt);
      fetched += bytes * each.count;
      cacheTooSmall ||= isTooSmall;
    }
    clock.begin(step, ready);
    timeline.add(step, ready - earliest, fetched);
  }
  const sum = (pick: (node: NodeClass) => number) =>
    classes.reduce((total, each) => total + pick(each) * each.count, 0);
  const most = (pick: (node: NodeClass) => number) => Math.max(...classes.map(pick));
  const totalSeconds = clock.at(options.numSteps);
  return {
    numSteps: options.numSteps,
    totalSeconds,
    timeToFirstBatchSeconds: clock.at(0),
    stallSeconds: totalSeconds - clock.at(0) - options.numSteps * options.stepSeconds,
    stepsPerSecond: options.numSteps / totalSeconds,
    numDownloads: sum((each) => each.numDownloads),
    downloadBytes: sum((each) => each.downloadBytes),
    maxNodeDownloads: most((each) => each.numDownloads),
    maxNodeDownloadBytes: most((each) => each.downloadBytes),
    maxCacheBytes: most((each) => each.maxCacheBytes),
    peakNeededBytes: most((each) => peakNeeded(each.needs, options.shards)),
    cacheTooSmall,
    quality,
    timeline: timeline.intervals(clock),
  };
}

/** Nodes that read the same lanes need the same shards: each kind is simulated once. */
function nodeClasses(
  options: SimulateOptions,
  lanes: LaneUses,
): { classes: NodeClass[]; quality: ShuffleQuality } {
  const { nodes, canonicalNodes } = options;
  const kinds = commonDivisor(nodes, canonicalNodes);
  const needs = Array.from({ length: kinds }, (): Need[] => []);
  let quality: ShuffleQuality | undefined;
  const numSamples = options.shards.reduce((sum, each) => sum + each.samples, 0);
  const draws = options.numSteps * options.globalBatch;
  // Lanes differ by one sample: whole epochs of the longest one, so that no use is missed.
  const epochs = Math.ceil(draws / canonicalNodes / Math.max(1, Math.floor(numSamples / canonicalNodes)));
  for (let epoch = 0; epoch < epochs; epoch++) {
    let spread = 0;
    let count = 0;
    for (let lane = 0; lane < canonicalNodes; lane++) {
      const size = Math.floor(numSamples / canonicalNodes) + (lane < numSamples % canonicalNodes ? 1 : 0);
      const stepOf = (turn: number) =>
        Math.floor(((epoch * size + turn) * canonicalNodes + lane) / options.globalBatch);
      for (const { shard, first, last } of lanes(lane, epoch)) {
        spread += (last - first + 1) / size;
        count++;
        const step = stepOf(first);
        if (step < options.numSteps) needs[lane % kinds]!.push({ step, lastStep: stepOf(last), shard });
      }
    }
    quality ??= { shardSpread: spread / Math.max(1, count), shardsInUse: spread / kinds };
  }
  const classes = needs.map((own) => ({
    needs: own.sort((a, b) => a.step - b.step),
    count: nodes / kinds,
    cache: new SimulatedCache(),
    next: 0,
    linkFree: 0,
    numDownloads: 0,
    downloadBytes: 0,
    maxCacheBytes: 0,
  }));
  return { classes, quality: quality ?? { shardSpread: 0, shardsInUse: 0 } };
}

/** The next step that any node uses a shard in for the first time. */
function nextStep(classes: readonly NodeClass[]): number {
  return Math.min(...classes.map((each) => each.needs[each.next]?.step ?? Number.POSITIVE_INFINITY));
}

/** Fetches what the step is the first to use. */
function fetchNeeds(node: NodeClass, step: number, clock: StepClock, options: SimulateOptions) {
  const { shards, cacheLimitBytes = Number.POSITIVE_INFINITY, bytesPerSecond, latencySeconds } = options;
  let readyAt = 0;
  let bytes = 0;
  let isTooSmall = false;
  for (; node.needs[node.next]?.step === step; node.next++) {
    const { shard, lastStep } = node.needs[node.next]!;
    if (node.cache.use(shard, lastStep)) continue;
    const { downloadBytes, cacheBytes } = shards[shard]!;
    let start = Math.max(node.linkFree, clock.at(Math.max(0, step - options.predownloadSteps), true));
    while (node.cache.usedBytes + cacheBytes > cacheLimitBytes) {
      const used = node.cache.evictBefore(step);
      if (used === undefined) {
        isTooSmall = true;
        break;
      }
      start = Math.max(start, clock.at(used + 1));
    }
    node.cache.add(shard, cacheBytes, lastStep);
    node.linkFree = start + latencySeconds + downloadBytes / bytesPerSecond;
    node.numDownloads++;
    node.downloadBytes += downloadBytes;
    node.maxCacheBytes = Math.max(node.maxCacheBytes, node.cache.usedBytes);
    readyAt = node.linkFree;
    bytes += downloadBytes;
  }
  return { readyAt, bytes, isTooSmall };
}

/** When steps begin: each at once after the one before, save those that had to wait. */
class StepClock {
  private readonly steps: number[] = [];
  private readonly seconds: number[] = [];
  private readonly stepSeconds: number;

  constructor(stepSeconds: number) {
    this.stepSeconds = stepSeconds;
  }

  /** @param isAsked true: when the run begins, for a step none has begun before */
  at(step: number, isAsked = false): number {
    if (this.steps.length === 0 || this.steps[0]! > step) return isAsked ? 0 : step * this.stepSeconds;
    const begun = lastAtMost(this.steps, step);
    // What step 0 needs is asked for when the run begins, not when the step does.
    if (isAsked && step === 0) return 0;
    return this.seconds[begun]! + (step - this.steps[begun]!) * this.stepSeconds;
  }

  begin(step: number, seconds: number): void {
    this.steps.push(step);
    this.seconds.push(seconds);
  }
}

/** Stalls and downloads in equal parts of the run. */
class Timeline {
  private readonly stall: Float64Array;
  private readonly bytes: Float64Array;
  private readonly numSteps: number;

  constructor(numSteps: number) {
    const count = Math.min(INTERVALS, numSteps);
    this.numSteps = numSteps;
    this.stall = new Float64Array(count);
    this.bytes = new Float64Array(count);
  }

  add(step: number, stallSeconds: number, bytes: number): void {
    const i = Math.floor((step / this.numSteps) * this.stall.length);
    this.stall[i]! += stallSeconds;
    this.bytes[i]! += bytes;
  }

  intervals(clock: StepClock): SimulatedInterval[] {
    return Array.from(this.stall, (stallSeconds, i) => {
      const endStep = Math.ceil(((i + 1) * this.numSteps) / this.stall.length);
      return { endStep, endSeconds: clock.at(endStep), stallSeconds, downloadBytes: this.bytes[i]! };
    });
  }
}

function peakNeeded(needs: readonly Need[], shards: UsesOptions['shards']): number {
  const ends = [...needs].sort((a, b) => a.lastStep - b.lastStep);
  const uses = new Map<number, number>();
  let next = 0;
  let bytes = 0;
  let peak = 0;
  for (const { step, shard } of needs) {
    for (; ends[next]!.lastStep < step; next++) {
      const ended = ends[next]!.shard;
      const left = uses.get(ended)! - 1;
      uses.set(ended, left);
      if (left === 0) bytes -= shards[ended]!.cacheBytes;
    }
    const count = uses.get(shard) ?? 0;
    if (count === 0) bytes += shards[shard]!.cacheBytes;
    uses.set(shard, count + 1);
    peak = Math.max(peak, bytes);
  }
  return peak;
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
