/**
 * The step of PCG64 (O'Neill 2014; XSL-RR 128/64) as a WebAssembly module put together here, since JavaScript has no fast
 * 64-bit integers: `fill(n)` makes n draws. Memory: 128-bit state at 0 and increment at 16, low words first; draws from 64.
 */

const I32 = 0x7f;
const I64 = 0x7e;
const BUFFER_START = 64;
/** draws a call of `fill` makes at most */
export const BUFFER_DRAWS = 4096;

const MULTIPLIER_LOW = 0x4385df649fccf645n;
const MULTIPLIER_HIGH = 0x2360ed051fc65da4n;

export interface Pcg64Kernel {
  /** state and increment, 4 words of 64 bits */
  readonly state: BigUint64Array;
  /** 2 words of 32 bits a draw, low word first */
  readonly draws: Uint32Array;
  fill(count: number): void;
}

/** What is used of the global of this name, which the types of Node.js declare by name only. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; fill(count: number): void } };
}

/** A kernel with memory of its own. */
export function createKernel(): Pcg64Kernel {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;
  const { memory, fill } = new Instance(new Module(moduleBytes())).exports;
  return {
    state: new BigUint64Array(memory.buffer, 0, 4),
    draws: new Uint32Array(memory.buffer, BUFFER_START, 2 * BUFFER_DRAWS),
    fill,
  };
}

/** Signed LEB128, which holds for lengths below 64 too. */
function leb(value: bigint | number): number[] {
  const bytes: number[] = [];
  for (let rest = BigInt.asIntN(64, BigInt(value)); ; ) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = (rest === 0n && byte < 64) || (rest === -1n && byte >= 64);
    bytes.push(isLast ? byte : byte | 0x80);
    if (isLast) return bytes;
  }
}

function unsignedLeb(value: number): number[] {
  const bytes = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const i32 = (value: number) => [0x41, ...leb(value)];
const i64 = (value: bigint) => [0x42, ...leb(value)];
const load = (offset: number) => [0x29, 3, offset];
const store = (offset: number) => [0x37, 3, offset];
const [ADD, MUL, AND, XOR, SHIFT_RIGHT, ROTATE_RIGHT, LESS, EXTEND] = [
  0x7c, 0x7e, 0x83, 0x85, 0x88, 0x8a, 0x54, 0xad,
];

// Locals: 0 count, 1 address; 64-bit: 2 state low, 3 state high, 4 to 9 scratch, 10 increment low, 11 increment high.
const [COUNT, ADDRESS, LOW, HIGH, A0, A1, T, MIDDLE, CARRY, PRODUCT, INC_LOW, INC_HIGH] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
] as const;

const MASK = i64(0xffff_ffffn);
const B0 = i64(MULTIPLIER_LOW & 0xffff_ffffn);
const B1 = i64(MULTIPLIER_LOW >> 32n);
const upperHalf = (local: number) => [...get(local), ...i64(32n), SHIFT_RIGHT];
const lowerHalf = (local: number) => [...get(local), ...MASK, AND];

/** state = state · multiplier + increment, modulo 2^128; the high word of low · low is built from halves. */
function step(): number[] {
  const low = i64(MULTIPLIER_LOW);
  return [
    ...[...lowerHalf(LOW), ...set(A0), ...upperHalf(LOW), ...set(A1)],
    ...[...get(A0), ...B0, MUL, ...set(T)],
    ...[...get(A1), ...B0, MUL, ...upperHalf(T), ADD, ...set(T)],
    ...[...get(A0), ...B1, MUL, ...lowerHalf(T), ADD, ...set(MIDDLE)],
    ...[...get(A1), ...B1, MUL, ...upperHalf(T), ADD, ...upperHalf(MIDDLE), ADD, ...set(CARRY)],
    ...[...get(HIGH), ...low, MUL, ...get(LOW), ...i64(MULTIPLIER_HIGH), MUL, ADD],
    ...[...get(CARRY), ADD, ...get(INC_HIGH), ADD, ...set(HIGH)],
    ...[...get(LOW), ...low, MUL, ...get(INC_LOW), ADD, ...set(LOW)],
    ...[...get(LOW), ...get(INC_LOW), LESS, EXTEND, ...get(HIGH), ADD, ...set(HIGH)],
  ];
}

function fillBody(): number[] {
  const output = [...get(HIGH), ...get(LOW), XOR, ...set(PRODUCT)];
  const rotated = [...get(PRODUCT), ...get(HIGH), ...i64(58n), SHIFT_RIGHT, ROTATE_RIGHT];
  const advance = [...get(ADDRESS), ...i32(8), 0x6a, ...set(ADDRESS)];
  const countDown = [...get(COUNT), ...i32(1), 0x6b, 0x22, COUNT];
  return [
    ...[...i32(0), ...load(0), ...set(LOW), ...i32(0), ...load(8), ...set(HIGH)],
    ...[...i32(0), ...load(16), ...set(INC_LOW), ...i32(0), ...load(24), ...set(INC_HIGH)],
    // loop … br_if 0
    ...[0x03, 0x40, ...step(), ...output],
    ...[...get(ADDRESS), ...rotated, ...store(BUFFER_START), ...advance, ...countDown, 0x0d, 0, 0x0b],
    ...[...i32(0), ...get(LOW), ...store(0), ...i32(0), ...get(HIGH), ...store(8), 0x0b],
  ];
}

function moduleBytes(): Uint8Array {
  const section = (id: number, body: readonly number[]) => [id, ...unsignedLeb(body.length), ...body];
  const name = (text: string) => [text.length, ...[...text].map((each) => each.charCodeAt(0))];
  // One local of 32 bits, ten of 64.
  const code = [2, 1, I32, 10, I64, ...fillBody()];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('fill'), 0, 0]),
    ...section(10, [1, ...unsignedLeb(code.length), ...code]),
  ]);
}
