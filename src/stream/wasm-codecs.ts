/**
 * zstd and bzip2, which Node 20's zlib lacks: the C libraries compiled to WebAssembly, as the packages @bokuweb/zstd-wasm and
 * bzip2-wasm ship them. Both packages start asynchronously and keep their memory for ever; readers of shards are synchronous, so the
 * modules are instantiated here, anew for each call: what a shard needed is given back with it, and no damage outlives a call.
 * The output never exceeds the size the caller gives. Limit: packed and plain bytes together stay below 2 GiB.
 *
 * The two packages are pinned to an exact version: exports of zstd.wasm have names that its build chose.
 * @see https://facebook.github.io/zstd/zstd_manual.html (simple API) @see https://sourceware.org/bzip2/manual/manual.html#util-fns
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

// The part of WebAssembly that is used; @types/node 20 has none.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports: object);
    readonly exports: Record<string, unknown>;
  }
}

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

type Native = (...args: number[]) => number;

interface Services {
  readonly grow: Native;
  readonly copy: Native;
}

/** A call into the library failed; the message is a reason, to be put into a sentence. */
export class CodecError extends Error {}

const PAGE_BYTES = 65_536;
const MAX_MEMORY_BYTES = 2 ** 31;

/** A compiled module and how to make an instance of it. */
class WasmLibrary {
  private readonly packageName: string;
  private readonly file: string;
  private module: WebAssembly.Module | undefined;

  /** @param file beside the entry of the package */
  constructor(packageName: string, file: string) {
    this.packageName = packageName;
    this.file = file;
  }

  /** @param imports what the module wants, by module and name, made from the two services every module needs */
  start(imports: (services: Services) => object, memoryName: string): WasmInstance {
    this.module ??= this.compile();
    let memory: Memory | undefined;
    const services: Services = {
      grow: (wanted) => growMemory(memory!, wanted >>> 0),
      copy: (to, from, length) => {
        new Uint8Array(memory!.buffer).copyWithin(to >>> 0, from >>> 0, (from >>> 0) + (length >>> 0));
        return to;
      },
    };
    const { exports } = new WebAssembly.Instance(this.module, imports(services));
    memory = exports[memoryName] as Memory;
    return new WasmInstance(exports, memory);
  }

  private compile(): WebAssembly.Module {
    const entry = createRequire(import.meta.url).resolve(this.packageName);
    return new WebAssembly.Module(readFileSync(join(dirname(entry), this.file)));
  }
}

class WasmInstance {
  private readonly exports: Record<string, unknown>;
  private readonly memory: Memory;

  constructor(exports: Record<string, unknown>, memory: Memory) {
    this.exports = exports;
    this.memory = memory;
  }

  call(name: string, ...args: number[]): number {
    try {
      return (this.exports[name] as Native)(...args) >>> 0;
    } catch (error) {
      throw new CodecError((error as Error).message);
    }
  }

  allocate(malloc: string, sizeBytes: number): number {
    const at = this.call(malloc, sizeBytes);
    if (at === 0) throw new CodecError('it needs more than 2 GiB of memory');
    return at;
  }

  put(at: number, bytes: Uint8Array): void {
    new Uint8Array(this.memory.buffer).set(bytes, at);
  }

  /** A copy in memory of its own. */
  take(at: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer).slice(at, at + length);
  }

  word(at: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, at, 1);
  }
}

function growMemory(memory: Memory, wantedBytes: number): number {
  if (wantedBytes > MAX_MEMORY_BYTES) return 0;
  try {
    memory.grow(Math.ceil((wantedBytes - memory.buffer.byteLength) / PAGE_BYTES));
    return 1;
  } catch {
    return 0;
  }
}

function stop(): never {
  throw new Error('the library stopped');
}

const zstdLibrary = new WasmLibrary('@bokuweb/zstd-wasm', 'zstd.wasm');
/** What version 0.0.27 calls the functions of zstd (dist/common/zstd.js). */
const ZSTD = {
  memory: 'f',
  constructors: 'g',
  isError: 'h',
  compressBound: 'i',
  compress: 'm',
  decompress: 'r',
  malloc: 's',
} as const;

function startZstd(): WasmInstance {
  const imports = ({ grow }: Services) => ({ a: { a: stop, b: stop, c: stop, d: () => 0, e: grow } });
  const zstd = zstdLibrary.start(imports, ZSTD.memory);
  zstd.call(ZSTD.constructors);
  return zstd;
}

/** One frame, as `ZSTD_compress` makes it. @param level 1..22 @throws CodecError */
export function zstdCompress(bytes: Uint8Array, level: number): Uint8Array {
  const zstd = startZstd();
  const from = zstd.allocate(ZSTD.malloc, bytes.length || 1);
  zstd.put(from, bytes);
  const bound = zstd.call(ZSTD.compressBound, bytes.length);
  const to = zstd.allocate(ZSTD.malloc, bound);
  const length = zstd.call(ZSTD.compress, to, bound, from, bytes.length, level);
  if (zstd.call(ZSTD.isError, length)) throw new CodecError(`zstd says error ${-(length | 0)}`);
  return zstd.take(to, length);
}

/** All frames of `packed`, joined. @throws CodecError where they are damaged or give more than `limitBytes` */
export function zstdDecompress(packed: Uint8Array, limitBytes: number): Uint8Array {
  const zstd = startZstd();
  const from = zstd.allocate(ZSTD.malloc, packed.length || 1);
  zstd.put(from, packed);
  const to = zstd.allocate(ZSTD.malloc, limitBytes || 1);
  const length = zstd.call(ZSTD.decompress, to, limitBytes, from, packed.length);
  if (zstd.call(ZSTD.isError, length)) throw new CodecError(`zstd says ${zstdProblem(-(length | 0))}`);
  return zstd.take(to, length);
}

/** Names of the errors that damage leads to (zstd_errors.h). */
function zstdProblem(code: number): string {
  const names: Record<number, string> = {
    10: 'that it is no zstd frame',
    20: 'that it is corrupt',
    22: 'that its checksum is wrong',
    70: 'that it holds more than it should',
    72: 'that it is cut off',
  };
  return names[code] ?? `error ${code}`;
}

const bzip2Library = new WasmLibrary('bzip2-wasm', 'bzip2-1.0.8/bzip2.wasm');

function startBzip2(): WasmInstance {
  const imports = ({ grow, copy }: Services) => ({
    env: { exit: stop, emscripten_memcpy_big: copy, emscripten_resize_heap: grow },
    wasi_snapshot_preview1: { fd_close: () => 0, fd_write: () => 0, fd_seek: () => 0 },
  });
  const bzip2 = bzip2Library.start(imports, 'memory');
  bzip2.call('__wasm_call_ctors');
  return bzip2;
}

function runBzip2(
  bytes: Uint8Array,
  limitBytes: number,
  name: 'BZ2_bzBuffToBuffCompress' | 'BZ2_bzBuffToBuffDecompress',
  options: number[],
): Uint8Array {
  const bzip2 = startBzip2();
  const from = bzip2.allocate('malloc', bytes.length || 1);
  bzip2.put(from, bytes);
  const to = bzip2.allocate('malloc', limitBytes || 1);
  const lengthAt = bzip2.allocate('malloc', 4);
  bzip2.word(lengthAt)[0] = limitBytes;
  const status = bzip2.call(name, to, lengthAt, from, bytes.length, ...options) | 0;
  if (status !== 0) throw new CodecError(`bzip2 says ${bzip2Problem(status)}`);
  return bzip2.take(to, bzip2.word(lengthAt)[0]!);
}

function bzip2Problem(status: number): string {
  const names: Record<string, string> = {
    '-3': 'that memory is short',
    '-4': 'that it is corrupt',
    '-5': 'that it is no bzip2 stream',
    '-7': 'that it is cut off',
    '-8': 'that it holds more than it should',
  };
  return names[status] ?? `error ${status}`;
}

/** As `bz2.compress(bytes, level)` of Python. @param level 1..9 @throws CodecError */
export function bzip2Compress(bytes: Uint8Array, level: number): Uint8Array {
  const bound = bytes.length + Math.ceil(bytes.length / 100) + 600;
  return runBzip2(bytes, bound, 'BZ2_bzBuffToBuffCompress', [level, 0, 0]);
}

/** One stream. @throws CodecError where it is damaged or gives more than `limitBytes` */
export function bzip2Decompress(packed: Uint8Array, limitBytes: number): Uint8Array {
  return runBzip2(packed, limitBytes, 'BZ2_bzBuffToBuffDecompress', [0, 0]);
}
