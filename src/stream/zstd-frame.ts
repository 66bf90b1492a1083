/** What the head of a zstd frame states, read before memory is taken for it. @see RFC 8878, section 3.1.1.1 */

export interface ZstdFrame {
  /** of what is unpacked already, how much must be kept */
  readonly windowBytes: number;
  /** of the frame unpacked; absent where the head does not say */
  readonly contentBytes?: number;
}

const MAGIC = 0xfd2fb528;

/** Of the first frame; undefined where `packed` does not begin with the whole head of one. */
export function zstdFrame(packed: Uint8Array): ZstdFrame | undefined {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.length < 6 || view.getUint32(0, true) !== MAGIC) return undefined;
  const descriptor = packed[4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const at = 5 + (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  const kind = descriptor >> 6;
  const sizeBytes = kind === 0 ? Number(isSingleSegment) : 2 ** kind;
  if (packed.length < at + sizeBytes) return undefined;
  const contentBytes = [
    () => (isSingleSegment ? view.getUint8(at) : undefined),
    () => view.getUint16(at, true) + 256,
    () => view.getUint32(at, true),
    () => Number(view.getBigUint64(at, true)),
  ][kind]!();
  if (isSingleSegment) return { windowBytes: contentBytes!, contentBytes };
  const exponent = packed[5]! >> 3;
  const mantissa = packed[5]! & 7;
  return { windowBytes: 2 ** (10 + exponent) * (1 + mantissa / 8), contentBytes };
}
