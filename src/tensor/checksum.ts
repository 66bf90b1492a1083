/**
 * A checksum of files that keeps up with memory: for bytes a disk or a copy got wrong, not against people who want to
 * deceive. Words of 32 bits (little endian) go in turn into 64 lanes, h = rotl(h ^ word, 13) · 0x85EBCA77, a bijection of
 * h and of the word, so that no single changed word goes unseen. The digest is the start of the SHA-256 of the lanes, what
 * is left of a block, and the length. The addon does whole blocks where there is one; here is the definition.
 */
import { createHash } from 'node:crypto';
import { nativeChecksumBlocks } from './native.ts';

const LANES = 64;
const BLOCK_BYTES = LANES * 4;

/** Adds whole blocks to the lanes. */
export type AddBlocks = (state: Int32Array, bytes: Uint8Array) => void;

export const addBlocksPlainly: AddBlocks = (state, bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; at += BLOCK_BYTES) {
    for (let lane = 0; lane < LANES; lane++) {
      const x = state[lane]! ^ view.getInt32(at + 4 * lane, true);
      state[lane] = Math.imul((x << 13) | (x >>> 19), 0x85ebca77);
    }
  }
};

/** The checksum of bytes that come in parts; how they are cut does not matter. */
export class Checksum {
  private readonly state = Int32Array.from({ length: LANES }, (_, lane) => lane);
  private readonly rest = new Uint8Array(BLOCK_BYTES);
  private length = 0;
  private readonly addBlocks: AddBlocks;

  constructor(addBlocks: AddBlocks = nativeChecksumBlocks() ?? addBlocksPlainly) {
    this.addBlocks = addBlocks;
  }

  update(bytes: Uint8Array): this {
    const held = this.length % BLOCK_BYTES;
    const first = held ? Math.min(BLOCK_BYTES - held, bytes.byteLength) : 0;
    this.rest.set(bytes.subarray(0, first), held);
    if (first && held + first === BLOCK_BYTES) this.addBlocks(this.state, this.rest);
    const end = bytes.byteLength - ((bytes.byteLength - first) % BLOCK_BYTES);
    if (end > first) this.addBlocks(this.state, bytes.subarray(first, end));
    this.rest.set(bytes.subarray(end));
    this.length += bytes.byteLength;
    return this;
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    const lanes = Buffer.alloc(BLOCK_BYTES);
    for (const [lane, value] of this.state.entries()) lanes.writeInt32LE(value, 4 * lane);
    const hash = createHash('sha256').update(lanes);
    hash.update(this.rest.subarray(0, this.length % BLOCK_BYTES)).update(String(this.length));
    return hash.digest('hex').slice(0, 16);
  }
}
