/**
 * How MosaicML Streaming deals the places of an epoch to nodes, ranks and data workers, bit for bit, so that each global
 * batch has the same samples whatever their numbers. `orig`: canonical nodes and nodes divide each other; `relaxed`: any
 * number of nodes may continue what `initialNodes` began. Nothing is stored: each place is computed where it is needed.
 */
import { DabarexError } from '../../base/index.ts';

export type PartitionAlgorithm = 'relaxed' | 'orig';

/** Who reads: `nodes` of `ranksPerNode` processes with `workersPerRank` data workers each. */
export interface World {
  readonly nodes: number;
  readonly ranksPerNode: number;
  readonly workersPerRank: number;
}

export interface PartitionOptions extends World {
  readonly numSamples: number;
  readonly canonicalNodes: number;
  /** samples a rank takes at once */
  readonly batchSize: number;
  /** samples, of all ranks, that were read already */
  readonly dropFirst: number;
  /** nodes the run began on */
  readonly initialNodes?: number;
}

/** A place that holds no sample. */
export const NO_SAMPLE = -1;

export interface Partition {
  /** places: nodes · ranks · workers · batches · batchSize */
  readonly size: number;
  /** samples of each rank; the places after them hold none */
  readonly samplesPerRank: number;
  /** what stands at place `t` in the order of reading: by batch, worker, node, rank, then within the batch */
  inOrder(t: number): number;
}

/** @throws config_invalid where the numbers of nodes do not divide, or dropFirst is past the end */
export function createPartition(algorithm: PartitionAlgorithm, options: PartitionOptions): Partition {
  const { nodes, canonicalNodes, initialNodes, ranksPerNode, batchSize } = options;
  const divides = canonicalNodes % nodes === 0 || nodes % canonicalNodes === 0;
  if (algorithm === 'orig' || initialNodes === undefined || divides) return new OriginalPartition(options);
  const globalBatch = nodes * ranksPerNode * batchSize;
  const initialRanks = initialNodes * ranksPerNode;
  if (globalBatch % initialRanks !== 0) {
    throw new DabarexError(
      'config_invalid',
      `A batch of ${globalBatch} sequences cannot be shared by the ${initialRanks} ranks the run began on. Keep the size of ` +
        'the batch of all ranks together when their number changes.',
      { globalBatch, initialRanks },
    );
  }
  // The order of reading is that of the first nodes.
  return new OriginalPartition({ ...options, nodes: initialNodes, batchSize: globalBatch / initialRanks });
}

class OriginalPartition implements Partition {
  readonly size: number;
  /** with repeated samples, so that ranks share them evenly */
  readonly samplesPerRank: number;
  private readonly options: PartitionOptions;
  private readonly dropped: number;
  private readonly samplesPerCanonical: number;
  /** with padding, so that nodes share them evenly */
  private readonly rowLength: number;
  private readonly padding: number;
  private readonly samplesPerNode: number;

  constructor(options: PartitionOptions) {
    const { numSamples, canonicalNodes, nodes, ranksPerNode, workersPerRank, batchSize, dropFirst } = options;
    if (canonicalNodes % nodes !== 0 && nodes % canonicalNodes !== 0)
      throw notDivisible(canonicalNodes, nodes);
    if (dropFirst >= numSamples) {
      throw new DabarexError(
        'config_invalid',
        `The epoch has ${numSamples} samples, so it cannot be continued after ${dropFirst}. Is it the state of other data?`,
        { numSamples, dropFirst },
      );
    }
    this.options = options;
    this.dropped = dropFirst - (dropFirst % nodes);
    this.samplesPerCanonical = Math.ceil(numSamples / canonicalNodes);
    const ratio = Math.max(1, nodes / canonicalNodes);
    this.padding = (ratio - (this.samplesPerCanonical % ratio)) % ratio;
    this.rowLength = this.samplesPerCanonical + this.padding;
    this.samplesPerNode = (canonicalNodes * this.rowLength - this.dropped) / nodes;
    this.samplesPerRank = Math.ceil(this.samplesPerNode / ranksPerNode);
    const batchesPerWorker = Math.ceil(this.samplesPerRank / (workersPerRank * batchSize));
    this.size = nodes * ranksPerNode * workersPerRank * batchSize * batchesPerWorker;
  }

  inOrder(t: number): number {
    const { nodes, ranksPerNode, batchSize } = this.options;
    const within = t % batchSize;
    const device = Math.floor(t / batchSize);
    const rank = device % ranksPerNode;
    const turn = Math.floor(device / ranksPerNode);
    const node = turn % nodes;
    // Batch and worker together count a rank's batches, since its workers take turns.
    const place = Math.floor(turn / nodes) * batchSize + within;
    if (place >= this.samplesPerRank) return NO_SAMPLE;
    const flat = this.dropped + this.withinNode(place * ranksPerNode + rank) * nodes + node;
    const { canonicalNodes } = this.options;
    return this.sampleOf(flat % canonicalNodes, Math.floor(flat / canonicalNodes));
  }

  /** Past the end of a node's samples its ranks repeat earlier ones. */
  private withinNode(place: number): number {
    const { ranksPerNode } = this.options;
    const own = this.samplesPerNode;
    if (place < own) return place;
    const repeated = place - own;
    const missing = ranksPerNode - (own % ranksPerNode);
    if (ranksPerNode + missing - 1 > own) return repeated % own;
    return own - ranksPerNode - missing + 1 + repeated;
  }

  /** The sample at a place of a canonical node; short rows repeat their last one. */
  private sampleOf(node: number, place: number): number {
    const { numSamples, canonicalNodes, nodes } = this.options;
    const length = this.samplesPerCanonical;
    if (numSamples <= canonicalNodes) return (node * this.rowLength + place) % numSamples;
    if (place >= length) {
      const ratio = nodes / canonicalNodes;
      const source = this.rowLength - 2 * this.padding - ratio + 1 + (place - length);
      return this.sampleOf(node, Math.max(0, source));
    }
    const start = Math.floor((node * numSamples) / canonicalNodes);
    const isShort = Math.floor(((node + 1) * numSamples) / canonicalNodes) - start < length;
    return start + place - (isShort && place === length - 1 ? 1 : 0);
  }
}

function notDivisible(canonicalNodes: number, nodes: number): DabarexError {
  return new DabarexError(
    'config_invalid',
    `${canonicalNodes} canonical nodes and ${nodes} nodes must divide one another, or every node would need every shard. ` +
      `Choose ${nodes} canonical nodes, a multiple or a divisor of it; or go on with the partition \`relaxed\`.`,
    { canonicalNodes, nodes },
  );
}
