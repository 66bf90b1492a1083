/**
 * The feed-forward layer of DBRX: a router chooses K of E gated experts for every token; no token is dropped.
 * With E = 1 it is a dense gated layer and the router is not run (its only weight would be 1). Beside them may stand an expert that
 * every token takes, weighted by a gate of its own (Qwen 2 MoE).
 * Legend: R tokens, D model dim, E experts, K experts per token, F expert hidden dim, S = R·K slots.
 */
import {
  type Activation,
  add,
  combine,
  dispatch,
  glu,
  groupedLinear,
  linear,
  type PackedFormat,
  type PackedWeight,
  type ParameterStore,
  planDispatch,
  route,
  type Tape,
  type Tensor,
  unary,
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
  /** hidden dim of the expert that every token takes; 0 for none */
  readonly sharedHidden: number;
  /** also where there is nothing to route: DBRX with one expert */
  readonly hasRouter: boolean;
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
  private readonly router: Linear | undefined;
  /** [E, 2F, D]: per expert F gate rows (DBRX's w1), then F up rows (v1) */
  private readonly gateUp: PackedWeight;
  /** [E, F, D] (DBRX's w2: stored so that y = h · w2) */
  private readonly down: PackedWeight;
  private readonly config: ExpertsConfig;
  private readonly shared: SharedExpert | undefined;

  constructor(store: ParameterStore, name: string, config: ExpertsConfig) {
    const { dModel, hidden, numExperts, std, outStd, format } = config;
    const router = { inputs: dModel, outputs: numExperts, std, format: 'f32' as const };
    this.config = config;
    if (config.hasRouter) this.router = new Linear(store, `${name}.router`, router);
    const gateUpShape = [numExperts, 2 * hidden, dModel];
    const downShape = [numExperts, hidden, dModel];
    this.gateUp = store.createMatrix(`${name}.gate_up`, gateUpShape, { std, format });
    this.down = store.createMatrix(`${name}.down`, downShape, { std: outStd, format, layout: 'in-out' });
    if (config.sharedHidden > 0) this.shared = new SharedExpert(store, `${name}.shared`, config);
  }

  /** x [R, D]; `balanceWeight` and `gradScale` as in {@link route}. */
  forward(tape: Tape, x: Tensor, balanceWeight: number, gradScale: number): ExpertsOutput {
    const { numExperts, topK, normalizeWeights, activation } = this.config;
    const { router } = this;
    if (numExperts === 1 || !router) return this.forwardDense(tape, x);
    const { weights, experts, counts, balanceLoss } = tape.layer('router', () =>
      route(tape, router.forward(tape, x), {
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
    const gateUp = tape.layer('gate_up', () => groupedLinear(tape, xs, this.gateUp, offsets));
    const h = tape.layer('glu', () => glu(tape, gateUp, activation));
    const ys = tape.layer('down', () => groupedLinear(tape, h, this.down, offsets));
    const mixed = tape.layer('combine', () => combine(tape, ys, weights, plan));
    const y = this.shared ? add(tape, mixed, this.shared.forward(tape, x)) : mixed;
    return { y, counts, balanceLoss };
  }

  private forwardDense(tape: Tape, x: Tensor): ExpertsOutput {
    const gateUp = tape.layer('gate_up', () => linear(tape, x, this.gateUp));
    const h = tape.layer('glu', () => glu(tape, gateUp, this.config.activation));
    const y = tape.layer('down', () => linear(tape, h, this.down));
    return { y, counts: Int32Array.of(x.shape[0]!), balanceLoss: 0 };
  }
}

/** [R, D] -> [R, D]: sigmoid(x · gate) times a gated layer. */
class SharedExpert {
  private readonly gate: Linear;
  private readonly gateUp: Linear;
  private readonly down: Linear;
  private readonly activation: Activation;

  constructor(store: ParameterStore, name: string, config: ExpertsConfig) {
    const { dModel, sharedHidden, std, outStd, format, activation } = config;
    const wide = { inputs: dModel, outputs: 2 * sharedHidden, std, format };
    this.gate = new Linear(store, `${name}.gate`, { inputs: dModel, outputs: 1, std, format: 'f32' });
    this.gateUp = new Linear(store, `${name}.gate_up`, wide);
    this.down = new Linear(store, `${name}.down`, {
      inputs: sharedHidden,
      outputs: dModel,
      std: outStd,
      format,
    });
    this.activation = activation;
  }

  forward(tape: Tape, x: Tensor): Tensor {
    const weight = unary(tape, 'sigmoid', this.gate.forward(tape, x));
    const h = glu(tape, this.gateUp.forward(tape, x), this.activation);
    const y = this.down.forward(tape, h);
    // One choice for every token: its own row.
    const slotOf = tape.arena.integers(x.shape[0]!);
    for (let r = 0; r < slotOf.length; r++) slotOf[r] = r;
    return combine(tape, y, weight, {
      topK: 1,
      slotOf,
      tokenOf: slotOf,
      offsets: Int32Array.of(0, slotOf.length),
    });
  }
}
