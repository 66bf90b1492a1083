/** Bytes of a GGUF header, put together front to back. */
import { type GgufArray, type GgufValue, TYPED_ARRAYS, VALUE_TYPES } from './values.ts';

export class ByteWriter {
  private bytes = Buffer.alloc(1 << 12);
  private used = 0;

  u32(value: number): this {
    const at = this.take(4);
    this.bytes.writeUInt32LE(value, at);
    return this;
  }

  u64(value: number): this {
    const at = this.take(8);
    this.bytes.writeBigUInt64LE(BigInt(value), at);
    return this;
  }

  string(value: string): this {
    const length = Buffer.byteLength(value, 'utf8');
    this.u64(length);
    const at = this.take(length);
    this.bytes.write(value, at, 'utf8');
    return this;
  }

  /** A value with its type before it. */
  value(value: GgufValue): this {
    this.u32(VALUE_TYPES[value.type]);
    if (value.type === 'array') return this.array(value);
    if (value.type === 'string') return this.string(value.value);
    if (value.type === 'bool') return this.raw(Uint8Array.of(Number(value.value)));
    const Type = TYPED_ARRAYS[value.type] as { of(item: number | bigint): Uint8Array };
    return this.raw(Type.of(value.value));
  }

  private array({ of, value }: GgufArray): this {
    this.u32(VALUE_TYPES[of]).u64(value.length);
    if (of !== 'string') return this.raw(value as Uint8Array);
    for (const each of value) this.string(each);
    return this;
  }

  raw({ buffer, byteOffset, byteLength }: Uint8Array): this {
    const at = this.take(byteLength);
    this.bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    return this;
  }

  /** A view of what was written. */
  done(): Buffer {
    return this.bytes.subarray(0, this.used);
  }

  private take(length: number): number {
    const start = this.used;
    this.used += length;
    if (this.used > this.bytes.length) {
      const grown = Buffer.alloc(Math.max(this.used, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, start));
      this.bytes = grown;
    }
    return start;
  }
}
