/**
 * The feed-forward layer of DBRX: a router chooses K of E gated experts for every token; no token is dropped.
 * With E = 1 it is a dense gated layer and the router is not run (its only weight would be 1).
 * Legend: R tokens, D model dim, E experts, K experts per token, F expert hidden dim, S = R·K slots.
 */
import {
  type Activation,
  combine,
  dispatch,
  glu,
  groupedLinear,
  linear,
  type PackedFormat,
  PackedWeight,
  type Parameter,
  type ParameterStore,
  planDispatch,
  route,
  type Tape,
  type Tensor,
} from '../tensor/index.ts';
import { Linear } from './linear.ts';

export interface ExpertsConfig {
  readonly dModel: number;
  readonly hidden: number;
  readonly numExperts: number;
  readonly topK: number;
  readonly normalizeWeights: boolean;
  readonly activation: Activation;
  readonly std: number;
  /** initial standard deviation of the down projection */
  readonly outStd: number;
  readonly format: PackedFormat;
}

export interface ExpertsOutput {
  /** [R, D] */
  readonly y: Tensor;
  /** [E] tokens per expert */
  readonly counts: Int32Array;
  /** weighted load-balancing loss of this layer */
  readonly balanceLoss: number;
}

export class Experts {
  readonly router: Linear;
  /** [E, 2F, D]: per expert F gate rows (DBRX's w1), then F up rows (v1) */
  readonly gateUp: Parameter;
  /** [E, F, D] (DBRX's w2: stored so that y = h · w2) */
  readonly down: Parameter;
  private readonly config: ExpertsConfig;
  private readonly gateUpPacked: PackedWeight;
  private readonly downPacked: PackedWeight;

  constructor(store: ParameterStore, name: string, config: ExpertsConfig) {
    const { dModel, hidden, numExperts, std, outStd, format } = config;
    const router = { inputs: dModel, outputs: numExperts, std, format: 'f32' as const };
    this.config = config;
    this.router = new Linear(store, `${name}.router`, router);
    const gateUpShape = [numExperts, 2 * hidden, dModel];
    this.gateUp = store.create(`${name}.gate_up`, gateUpShape, { kind: 'normal', std }, true);
    this.down = store.create(
      `${name}.down`,
      [numExperts, hidden, dModel],
      { kind: 'normal', std: outStd },
      true,
    );
    this.gateUpPacked = new PackedWeight(this.gateUp.tensor, format);
    this.downPacked = new PackedWeight(this.down.tensor, format, 'in-out');
  }

  /** x [R, D]; `balanceWeight` and `gradScale` as in {@link route}. */
  forward(tape: Tape, x: Tensor, balanceWeight: number, gradScale: number): ExpertsOutput {
    const { numExperts, topK, normalizeWeights, activation } = this.config;
    if (numExperts === 1) return this.forwardDense(tape, x);
    const { weights, experts, counts, balanceLoss } = tape.layer('router', () =>
      route(tape, this.router.forward(tape, x), {
        topK,
        normalize: normalizeWeights,
        balanceWeight,
        gradScale,
      }),
    );
    const { plan, xs } = tape.layer('dispatch', () => {
      const plan = planDispatch(tape, experts, topK, numExperts);
      return { plan, xs: dispatch(tape, x, plan) };
    });
    const { offsets } = plan;
    const gateUp = tape.layer('gate_up', () => groupedLinear(tape, xs, this.gateUpPacked, offsets));
    const h = tape.layer('glu', () => glu(tape, gateUp, activation));
    const ys = tape.layer('down', () => groupedLinear(tape, h, this.downPacked, offsets));
    return { y: tape.layer('combine', () => combine(tape, ys, weights, plan)), counts, balanceLoss };
  }

  private forwardDense(tape: Tape, x: Tensor): ExpertsOutput {
    const gateUp = tape.layer('gate_up', () => linear(tape, x, this.gateUpPacked));
    const h = tape.layer('glu', () => glu(tape, gateUp, this.config.activation));
    const y = tape.layer('down', () => linear(tape, h, this.downPacked));
    return { y, counts: Int32Array.of(x.shape[0]!), balanceLoss: 0 };
  }
}
