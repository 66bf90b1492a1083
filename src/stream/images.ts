/**
 * Image encodings of MDS. Files of images (`jpeg`, `png`) pass through as they are: nothing here looks into a picture.
 * - `jpeg`, `png`: the file, a Uint8Array.
 * - `pil`: u32 width, height, length of mode | mode | raw pixels; a {@link PilImage}.
 * - `jpeg_array`, `jpegarray`: u32 n, u32 size[n] | files; an array of Uint8Array.
 * - `list[jpeg]`, `list[png]`, `list[pil]`: u32 0, u32 n, u32 size[n] | items; an array.
 */
import { failValue } from './sample-error.ts';

/** A picture as Pillow holds it: `raw` is what its `tobytes()` gives for this mode (`RGB`, `L`, ...). */
export interface PilImage {
  readonly width: number;
  readonly height: number;
  readonly mode: string;
  readonly raw: Uint8Array;
}

interface ItemCodec {
  encode(value: unknown, where: string): Uint8Array;
  /** undefined where the bytes are no value */
  decode(bytes: Uint8Array): unknown;
}

const FILE: ItemCodec = {
  encode: (value, where) =>
    value instanceof Uint8Array
      ? value
      : failValue(where, value, 'the bytes of an image file (a Uint8Array)'),
  decode: (bytes) => bytes.slice(),
};

const PIL: ItemCodec = {
  encode: (value, where) => {
    if (!isPilImage(value)) return failValue(where, value, '{width, height, mode, raw}');
    const mode = Buffer.from(value.mode, 'utf8');
    return Buffer.concat([words([value.width, value.height, mode.length]), mode, value.raw]);
  },
  decode: (bytes) => {
    if (bytes.length < 12) return undefined;
    const [width, height, modeBytes] = readWords(bytes, 0, 3);
    if (12 + modeBytes > bytes.length) return undefined;
    const mode = Buffer.from(bytes.subarray(12, 12 + modeBytes)).toString('latin1');
    return { width, height, mode, raw: bytes.slice(12 + modeBytes) } satisfies PilImage;
  },
};

/** The codec of an image encoding, whose values all differ in size; undefined for any other name. */
export function imageEncoding(name: string): ItemCodec | undefined {
  switch (name) {
    case 'jpeg':
    case 'png':
      return FILE;
    case 'pil':
      return PIL;
    case 'jpeg_array':
    case 'jpegarray':
      return listOf(FILE, false);
    case 'list[jpeg]':
    case 'list[png]':
      return listOf(FILE, true);
    case 'list[pil]':
      return listOf(PIL, true);
    default:
      return undefined;
  }
}

/** @param reserved whether a word 0 stands first */
function listOf(item: ItemCodec, reserved: boolean): ItemCodec {
  return {
    encode: (value, where) => {
      if (!Array.isArray(value)) return failValue(where, value, 'an array of images');
      const items = value.map((each, i) => item.encode(each, `${where}, item ${i}`));
      const sizes = items.map((each) => each.length);
      return Buffer.concat([words([...(reserved ? [0] : []), items.length, ...sizes]), ...items]);
    },
    decode: (bytes) => {
      const head = reserved ? 4 : 0;
      if (bytes.length < head + 4 || (reserved && readWords(bytes, 0, 1)[0] !== 0)) return undefined;
      const count = readWords(bytes, head, 1)[0]!;
      let at = head + 4 + 4 * count;
      if (at > bytes.length) return undefined;
      const values: unknown[] = [];
      for (const size of readWords(bytes, head + 4, count)) {
        const value = at + size > bytes.length ? undefined : item.decode(bytes.subarray(at, at + size));
        if (value === undefined) return undefined;
        values.push(value);
        at += size;
      }
      return at === bytes.length ? values : undefined;
    },
  };
}

function isPilImage(value: unknown): value is PilImage {
  const { width, height, mode, raw } = (value ?? {}) as Partial<PilImage>;
  return isWord(width) && isWord(height) && typeof mode === 'string' && raw instanceof Uint8Array;
}

function isWord(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}

function words(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** The caller has checked that they are there. */
function readWords(bytes: Uint8Array, at: number, count: number): Uint32Array {
  return new Uint32Array(bytes.slice(at, at + 4 * count).buffer);
}
