/**
 * Rows of 256 weights, plain and odd, for the formats of blocks: the same in every run and on every machine, as they come from
 * whole numbers, sums and powers of two alone.
 */

const LENGTH = 256;

/** Uniform in [0, 1), with 32 bits. */
type Draw = () => number;

function drawOf(seed: number): Draw {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Near to a normal distribution. */
function bell(draw: Draw): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += draw();
  return sum;
}

const power = (draw: Draw, least: number, most: number) => 2 ** (least + Math.floor(draw() * (most - least)));

type Kind = (draw: Draw) => (place: number) => number;

/** By name; each gives a value for each place. */
const KINDS: Readonly<Record<string, Kind>> = {
  zeros: () => () => 0,
  negativeZeros: () => () => -0,
  plain: (draw) => () => bell(draw),
  small: (draw) => () => bell(draw) * 0.02,
  constant: (draw) => {
    const value = bell(draw);
    return () => value;
  },
  oneValue: (draw) => {
    const [at, value] = [Math.floor(draw() * LENGTH), bell(draw)];
    return (place) => (place === at ? value : 0);
  },
  outlier: (draw) => {
    const [at, value] = [Math.floor(draw() * LENGTH), bell(draw)];
    return (place) => (place === at ? 100 * value : bell(draw) * 0.01);
  },
  subnormal: (draw) => () => bell(draw) * 2 ** -136,
  tiny: (draw) => {
    const size = power(draw, -140, -110);
    return () => bell(draw) * size;
  },
  nearlyZero: (draw) => () => bell(draw) * 1e-15,
  large: (draw) => () => bell(draw) * 1e5,
  larger: (draw) => () => bell(draw) * 1e11,
  huge: (draw) => () => bell(draw) * 2e37,
  positive: (draw) => () => draw(),
  negative: (draw) => () => -1 - draw(),
  whole: (draw) => () => Math.round(bell(draw) * 5),
  halves: (draw) => () => Math.round(bell(draw) * 20) / 2,
  everySize: (draw) => () => bell(draw) * power(draw, -30, 10),
  anyBits: (draw) => {
    const words = new Uint32Array(1);
    const floats = new Float32Array(words.buffer);
    return () => {
      do words[0] = draw() * 2 ** 32;
      while (!Number.isFinite(floats[0]));
      return floats[0]!;
    };
  },
};

export const ROW_KINDS = Object.keys(KINDS);

/** Row number `index` of a kind. */
export function oddRow(kind: string, index: number): Float32Array {
  const valueAt = KINDS[kind]!(drawOf(index * 1_000_003 + 7 * ROW_KINDS.indexOf(kind)));
  return Float32Array.from({ length: LENGTH }, (_, place) => valueAt(place));
}

/** Bytes that any block may have, infinite and NaN scales too. */
export function anyBytes(length: number, index: number): Uint8Array {
  const draw = drawOf(index * 7_919 + 13);
  return Uint8Array.from({ length }, () => draw() * 256);
}
