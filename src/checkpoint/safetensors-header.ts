/**
 * The header of a safetensors file: u64 length, JSON of names to {dtype, shape, data_offsets}, then the data. Everything
 * is checked before a byte of data is used: sizes fit shapes, and tensors lie side by side from the first byte of the
 * data to the end of the file.
 * Limit: a name given twice is not noticed by itself, only by the hole its lost entry leaves.
 * @see https://github.com/huggingface/safetensors
 */
import { DabarexError } from '../base/index.ts';

/** Bits of one element. */
const DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type SafetensorsDtype = keyof typeof DTYPE_BITS;

/** Where a tensor lies. */
export interface TensorInfo {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** from the start of the file */
  readonly byteOffset: number;
  readonly sizeBytes: number;
}

export const MAX_HEADER_BYTES = 100_000_000;

/** Bytes of a tensor; NaN where they are no whole number. */
export function tensorBytes(dtype: SafetensorsDtype, shape: readonly number[]): number {
  const bits = shape.reduce((a, b) => a * b, 1) * DTYPE_BITS[dtype];
  return bits % 8 === 0 ? bits / 8 : Number.NaN;
}

/** For the order of writing: wider elements first, so that all stay aligned. */
export function dtypeBits(dtype: SafetensorsDtype): number {
  return DTYPE_BITS[dtype];
}

/** Parses the JSON of a header; `dataStart` and `fileBytes` place it in its file. @throws safetensors_invalid */
export function parseHeader(
  json: Uint8Array,
  dataStart: number,
  fileBytes: number,
  path: string,
): { metadata: Record<string, string>; tensors: Map<string, TensorInfo> } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch {
    throw invalid(path, 'its header is not JSON');
  }
  if (json[0] !== 0x7b || !isObject(parsed)) throw invalid(path, 'its header is no JSON object');
  const tensors = new Map<string, TensorInfo>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '__metadata__') metadata = parseMetadata(value, path);
    else tensors.set(name, parseTensor(name, value, dataStart, path));
  }
  checkLayout(tensors, dataStart, fileBytes, path);
  return { metadata, tensors };
}

function parseMetadata(value: unknown, path: string): Record<string, string> {
  if (!isObject(value) || Object.values(value).some((each) => typeof each !== 'string')) {
    throw invalid(path, '__metadata__ maps not only strings to strings');
  }
  return value as Record<string, string>;
}

function parseTensor(name: string, value: unknown, dataStart: number, path: string): TensorInfo {
  const where = `tensor "${name}"`;
  if (!isObject(value)) throw invalid(path, `${where} has no description`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BITS, dtype)) {
    throw invalid(path, `${where} has dtype ${JSON.stringify(dtype)}, which is not known`);
  }
  if (!isCounts(shape)) throw invalid(path, `${where} has shape ${JSON.stringify(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[1]! < offsets[0]!) {
    throw invalid(path, `${where} has data_offsets ${JSON.stringify(offsets)}`);
  }
  const sizeBytes = tensorBytes(dtype as SafetensorsDtype, shape);
  if (offsets[1]! - offsets[0]! !== sizeBytes) {
    throw invalid(
      path,
      `${where} has ${offsets[1]! - offsets[0]!} bytes, but ${dtype} [${shape}] needs ${sizeBytes}`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape, byteOffset: dataStart + offsets[0]!, sizeBytes };
}

function checkLayout(
  tensors: Map<string, TensorInfo>,
  dataStart: number,
  fileBytes: number,
  path: string,
): void {
  const sorted = [...tensors].sort(
    ([, a], [, b]) => a.byteOffset - b.byteOffset || a.sizeBytes - b.sizeBytes,
  );
  let end = dataStart;
  for (const [name, tensor] of sorted) {
    if (tensor.byteOffset !== end) {
      throw invalid(
        path,
        `tensor "${name}" starts at byte ${tensor.byteOffset}, not at ${end} (hole or overlap)`,
      );
    }
    end += tensor.sizeBytes;
  }
  if (end !== fileBytes) throw invalid(path, `its tensors end at byte ${end}, the file at ${fileBytes}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

export function invalid(path: string, problem: string): DabarexError {
  return new DabarexError(
    'safetensors_invalid',
    `${path} is no valid safetensors file: ${problem}. Copy it again or use another checkpoint.`,
    { path, problem },
  );
}
