/**
 * Every method of the addon, called with sizes and arrays that nobody sane would pass: not whole, negative, huge, products
 * that wrap around 64 bits to a small number, indices outside. A call that does not fit its arrays must throw an error with
 * a code; no call may crash, hang, or write outside its arrays (each lies between guards).
 * Limit: what is read outside an array is seen only under the address sanitizer (`npm run fuzz -- bindings --variant sanitize`).
 */
import fc from 'fast-check';
import type { NativeMethods } from './addon.ts';

/**
 * Arguments in order. `rows` a size; `f:LENGTH`, `i:LENGTH`, `u:LENGTH` arrays of f32, i32, u8 (or
 * null) whose length the sizes give ("?": not by sizes alone); `number`, `flag`, `format`, `ms` themselves.
 */
const SIGNATURES: Readonly<Record<string, string>> = {
  threads: '',
  setThreads: 'few',
  allocate: 'bytes',
  hasFastBf16: '',
  measureFlops: 'flag ms',
  measureRead: 'ms',
  packedBytes: 'k n groups format',
  pack: 'f:? k n groups format f:groups*k*n flag',
  gemmPacked: 'f:m*n f:m*k f:? k n groups format m flag',
  groupedGemmPacked: 'f:? f:? f:? k n groups format i:groups+1 flag',
  groupedGemmTransposed: 'f:groups*n*k f:? f:? i:groups+1 groups n k flag flag',
  gemm: 'f:m*n f:m*k f:k*n m n k flag flag flag flag',
  attentionForward: `f:rows*heads*headDim f:rows*heads f:QKV i:rows HEADS number flag f:heads number`,
  attentionBackward:
    'f:QKV f:rows*heads*headDim f:QKV f:rows*heads*headDim f:rows*heads i:rows HEADS number flag f:heads number',
  attentionCached:
    'f:rows*heads*headDim f:? f:? f:QKV i:rows i:rows HEADS cacheLength number window f:heads number',
  fill: 'f:? number',
  scale: 'f:? f:? number flag',
  unary: 'op f:? f:?',
  unaryBackward: 'op f:? f:? f:? f:? flag',
  binary: 'op f:? f:? f:?',
  binaryRow: 'op f:rows*dim f:rows*dim f:dim rows dim',
  sum: 'f:?',
  sumOfSquares: 'f:?',
  columnSum: 'f:dim f:rows*dim rows dim flag',
  layerNormForward: 'f:rows*dim f:rows f:rows f:rows*dim f:dim rows dim number',
  layerNormBackward: 'f:rows*dim f:dim f:rows*dim f:rows*dim f:dim f:rows f:rows rows dim flag',
  rmsNormForward: 'f:rows*dim f:rows f:rows*dim f:dim rows dim number',
  rmsNormBackward: 'f:rows*dim f:dim f:rows*dim f:rows*dim f:dim f:rows rows dim flag',
  columnNormForward: 'f:rows*columns f:rows*groups f:rows*columns f:dim rows columns first groups dim number',
  columnNormBackward:
    'f:rows*columns f:dim f:rows*columns f:rows*columns f:dim f:rows*groups rows columns first groups dim',
  ropeClipForward: 'f:QKV u:QKV i:rows f:? f:? HEADS number',
  ropeClipBackward: 'f:QKV u:QKV i:rows f:? f:? HEADS',
  gluForward: 'f:rows*hidden f:rows*2*hidden rows hidden activation',
  gluBackward: 'f:rows*2*hidden f:rows*hidden f:rows*2*hidden rows hidden activation',
  embeddingForward: 'f:rows*dim f:? i:rows rows dim',
  embeddingBackward: 'f:? i:rows f:rows*dim rows dim',
  routerForward: 'f:rows*experts f:rows*topK i:rows*topK f:rows*experts rows experts topK flag',
  routerBackward: 'f:rows*experts f:rows*topK f:experts f:rows*experts i:rows*topK rows experts topK flag',
  buildPermutation: 'i:rows*topK i:rows*topK i:experts+1 i:rows*topK rows topK experts',
  gatherRows: 'f:slots*dim f:? i:slots slots dim',
  gatherRowsBackward: 'f:rows*dim f:rows*topK*dim i:rows*topK rows topK dim flag',
  combineForward: 'f:rows*dim f:rows*topK*dim f:rows*topK i:rows*topK rows topK dim flag',
  combineBackward:
    'f:rows*topK*dim f:rows*topK f:rows*dim f:rows*topK*dim f:rows*topK i:rows*topK rows topK dim',
  softmaxCrossEntropy: 'f:rows f:rows*vocab i:rows rows vocab number',
  softmaxForward: 'f:rows*dim f:rows*dim rows dim',
  softmaxBackward: 'f:rows*dim f:rows*dim f:rows*dim rows dim flag',
  quantizeBlocks: 'u:? f:? blockFormat',
  dequantizeBlocks: 'f:? u:? blockFormat',
  checksumBlocks: 'i:64 u:?',
  adamw: 'f:? f:? f:? f:? number number number number number step number',
};

const CODES = ['kernel_arguments_invalid', 'kernel_memory_exhausted'];
const GUARD = 64;
const MAX_SIZE = 2 ** 53 - 1;

const noSize = fc.constantFrom<unknown>(
  ...[-1, 0.5, 2 ** 53, 2 ** 53 + 2, 2 ** 63, 2 ** 64, 1e300, -(2 ** 53)],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, '8', null, undefined, {}, 8n],
);
const smallSize = fc.constantFrom<unknown>(0, 1, 2, 3, 4, 8, 16);
/** Two of them multiply to a multiple of 2^64, or to one that is small. */
const hugeSize = fc.constantFrom<unknown>(
  ...[2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 33, 2 ** 48, 2 ** 52, 2 ** 53 - 1],
);
const anySize = fc.oneof(
  { weight: 6, arbitrary: smallSize },
  { weight: 4, arbitrary: hugeSize },
  { weight: 1, arbitrary: noSize },
);
const someNumber = fc.constantFrom<unknown>(
  0,
  1,
  -1,
  0.9,
  1e-5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e300,
  'x',
);
const someFlag = fc.constantFrom<unknown>(true, false, undefined, 1);

/** Sizes that take time or memory where they are valid are drawn small or invalid only. */
const SPECIAL: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  number: someNumber,
  flag: someFlag,
  format: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<unknown>(0, 1, 2, 3) },
    { weight: 1, arbitrary: fc.oneof(fc.constant<unknown>(4), noSize) },
  ),
  blockFormat: fc.oneof(fc.nat(12), fc.constantFrom<unknown>(13, 2 ** 32), noSize),
  few: fc.oneof(fc.constantFrom<unknown>(1, 2), noSize),
  bytes: fc.oneof(smallSize, noSize, fc.constantFrom<unknown>(2 ** 52, MAX_SIZE)),
  ms: fc.constantFrom<unknown>(-1, 60_001, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, 'x', undefined),
};

/** An array argument before it is made: its length, if it does not follow the sizes, and what it is filled with. */
interface ArrayDraw {
  readonly fits: boolean;
  readonly length: number;
  readonly values: readonly number[];
}
const arrayDraw: fc.Arbitrary<ArrayDraw> = fc.record({
  fits: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  length: fc.constantFrom(0, 1, 2, 8, 16, 64, 256),
  values: fc.array(fc.constantFrom(0, 0, 0, 1, 1, 2, 3, -1, 2 ** 31 - 1, -(2 ** 31)), {
    minLength: 1,
    maxLength: 8,
  }),
});

export interface HostileOptions {
  /** calls of each method */
  readonly numRuns: number;
  readonly seed?: number;
  /** told of a call before it is made, so that one that ends the process can be named */
  readonly onCall?: (call: string) => void;
}

/** The methods there are no signatures for, and the signatures there are no methods for. */
export function unknownMethods(methods: NativeMethods): string[] {
  const [known, found] = [Object.keys(SIGNATURES), Object.keys(methods)];
  return [...found.filter((name) => !known.includes(name)), ...known.filter((name) => !found.includes(name))];
}

/** @throws Error with the smallest call found that is not refused as it must be, or writes where it must not */
export function callWithAnything(methods: NativeMethods, { numRuns, seed, onCall }: HostileOptions): void {
  for (const [name, signature] of Object.entries(SIGNATURES)) {
    const kinds = signature
      .replace('HEADS', 'rows heads kvHeads headDim')
      .replaceAll('QKV', 'rows*heads*headDim+rows*2*kvHeads*headDim')
      .split(' ')
      .filter(Boolean);
    const drawn = kinds.map((kind) => (isArray(kind) ? arrayDraw : (SPECIAL[kind] ?? anySize)));
    fc.assert(
      fc.property(fc.tuple(...drawn), (draws) => {
        onCall?.(`${name} ${kinds.map((kind, i) => `${kind}=${shown(draws[i])}`).join(' ')}`);
        callOnce(methods[name] as (...args: unknown[]) => unknown, kinds, draws);
      }),
      { numRuns, ...(seed === undefined ? {} : { seed }) },
    );
  }
}

function callOnce(
  method: (...args: unknown[]) => unknown,
  kinds: readonly string[],
  draws: readonly unknown[],
) {
  const sizes = new Map<string, unknown>();
  kinds.forEach((kind, i) => {
    if (!isArray(kind) && !(kind in SPECIAL)) sizes.set(kind, draws[i]);
  });
  const guarded = kinds.map((kind, i) =>
    isArray(kind) ? makeArray(kind, draws[i] as ArrayDraw, sizes) : null,
  );
  const args = kinds.map((_, i) => (guarded[i] ? guarded[i].array : draws[i]));
  const mustFail =
    [...sizes.values()].some((size) => !isSize(size)) ||
    kinds.some(
      (kind, i) =>
        guarded[i] &&
        lengthOf(kind, sizes) !== null &&
        BigInt(guarded[i].array.length) !== lengthOf(kind, sizes),
    );
  let failure: unknown;
  try {
    method(...args);
  } catch (error) {
    failure = error;
  }
  if (failure !== undefined && !CODES.includes((failure as { code: string }).code)) {
    throw new Error(`it threw an error without a code: ${failure}`);
  }
  if (mustFail && failure === undefined) throw new Error('it took arrays that do not fit the sizes');
  for (const each of guarded) if (each && !each.guardsWhole()) throw new Error('it wrote outside an array');
}

function isArray(kind: string): boolean {
  return /^[fiu]:/.test(kind);
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_SIZE;
}

/** What the sizes demand, exactly; null where they do not say, or one of them is no size. */
function lengthOf(kind: string, sizes: ReadonlyMap<string, unknown>): bigint | null {
  const formula = kind.slice(2);
  if (formula === '?') return null;
  let sum = 0n;
  for (const term of formula.split('+')) {
    let product = 1n;
    for (const factor of term.split('*')) {
      const value = sizes.has(factor) ? sizes.get(factor) : Number(factor);
      if (!isSize(value)) return null;
      product *= BigInt(value);
    }
    sum += product;
  }
  return sum;
}

/** The array between two guards of one buffer. */
function makeArray(kind: string, draw: ArrayDraw, sizes: ReadonlyMap<string, unknown>) {
  const wanted = lengthOf(kind, sizes);
  // What a product that wraps around would ask for.
  const wrapped = wanted === null ? -1n : BigInt.asIntN(64, wanted);
  const length = draw.fits && wrapped >= 0n && wrapped <= 4096n ? Number(wrapped) : draw.length;
  const Type = { f: Float32Array, i: Int32Array, u: Uint8Array }[kind[0] as 'f' | 'i' | 'u'];
  const { BYTES_PER_ELEMENT: width } = Type;
  const buffer = new ArrayBuffer((length + 2 * GUARD) * width);
  const bytes = new Uint8Array(buffer).fill(0xa5);
  const array = new Type(buffer, GUARD * width, length);
  for (let i = 0; i < length; i++) array[i] = draw.values[i % draw.values.length]!;
  const ends = [bytes.subarray(0, GUARD * width), bytes.subarray((GUARD + length) * width)];
  return { array, guardsWhole: () => ends.every((end) => end.every((byte) => byte === 0xa5)) };
}

function shown(value: unknown): string {
  return typeof value === 'bigint' || typeof value === 'number'
    ? String(value)
    : (JSON.stringify(value) ?? 'undefined');
}
