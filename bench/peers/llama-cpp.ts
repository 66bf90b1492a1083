/**
 * llama.cpp's own libraries as a peer: those that npm `node-llama-cpp` ships ready-made for this platform (CPU only, 31 MB), called
 * through `koffi`. They are installed into a cache folder when first asked for; where they cannot be had, a reason is given.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

const VERSION = '3.22.1';
const KOFFI = '3.3.4';
/** Packages by platform and architecture. */
const PLATFORMS: Readonly<Record<string, { readonly binaries: string; readonly koffi: string }>> = {
  'linux-x64': { binaries: 'linux-x64', koffi: '@koromix/koffi-linux-x64' },
  'linux-arm64': { binaries: 'linux-arm64', koffi: '@koromix/koffi-linux-arm64' },
};

/** A C function; arguments as koffi takes them. */
type CFunction = (...args: readonly unknown[]) => unknown;

/** A shared library; `func` takes a C prototype. */
interface CLibrary {
  func(prototype: string): CFunction;
}

export interface LlamaCpp {
  readonly version: string;
  /** where its libraries stand */
  readonly folder: string;
  /** Opens a library by the beginning of its file's name, such as `libggml-base`. */
  open(name: string): CLibrary;
  /** Names a C struct for prototypes; once only. */
  defineStruct(name: string, fields: Readonly<Record<string, unknown>>): void;
  array(type: string, length: number): unknown;
  /** A copy of `count` floats at a pointer. */
  floats(pointer: unknown, count: number): Float32Array;
  /** A log callback that does nothing; once only. */
  silence(): unknown;
}

interface Koffi {
  load(path: string): CLibrary;
  struct(name: string, fields: Readonly<Record<string, unknown>>): unknown;
  array(type: string, length: number, hint: string): unknown;
  decode(pointer: unknown, type: unknown): unknown;
  proto(prototype: string): unknown;
  pointer(type: unknown): unknown;
  register(callback: () => void, type: unknown): unknown;
}

/** llama.cpp, or a sentence that says why it is not there. Installs it where it is not in the cache yet. */
export function findLlamaCpp(): LlamaCpp | string {
  const packages = PLATFORMS[`${process.platform}-${process.arch}`];
  if (!packages) return `node-llama-cpp is not compared on ${process.platform} ${process.arch}`;
  const home = process.env.DABAREX_HOME ?? join(homedir(), '.cache', 'dabarex');
  const folder = join(home, 'peers', `node-llama-cpp-${VERSION}-koffi-${KOFFI}`);
  const names = [
    `@node-llama-cpp/${packages.binaries}@${VERSION}`,
    `koffi@${KOFFI}`,
    `${packages.koffi}@${KOFFI}`,
  ];
  const problem = existsSync(folder) ? null : install(folder, names);
  if (problem) return problem;
  const bins = join(folder, 'node_modules', '@node-llama-cpp', packages.binaries, 'bins', packages.binaries);
  const koffi = createRequire(join(folder, 'package.json'))('koffi') as Koffi;
  return {
    version: VERSION,
    folder: bins,
    defineStruct: (name, fields) => void koffi.struct(name, fields),
    array: (type, length) => koffi.array(type, length, 'Typed'),
    floats: (pointer, count) =>
      Float32Array.from(koffi.decode(pointer, koffi.array('float', count, 'Typed')) as Float32Array),
    silence: () =>
      koffi.register(
        () => {},
        koffi.pointer(koffi.proto('void LlamaLog(int level, const char *text, void *data)')),
      ),
    open(name) {
      const file = readdirSync(bins).find((each) => each.startsWith(name) && each.endsWith('.so'));
      if (!file) throw new Error(`${bins} has no ${name}`);
      return koffi.load(join(bins, file));
    },
  };
}

/** Into a folder beside, then renamed: what is there is whole. @returns what stands in the way, or null */
function install(folder: string, names: readonly string[]): string | null {
  console.error(`Installing ${names.join(', ')} into ${folder} ...`);
  const temporary = `${folder}.tmp-${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  const quick = ['--fetch-retries=1', '--fetch-timeout=60000', '--no-audit', '--no-fund', '--loglevel=error'];
  const args = ['install', '--prefix', temporary, '--ignore-scripts', '--omit=optional', ...quick, ...names];
  const { status, error } = spawnSync('npm', args, {
    cwd: temporary,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status === 0 && !existsSync(folder)) renameSync(temporary, folder);
  rmSync(temporary, { recursive: true, force: true });
  return status === 0 ? null : `npm cannot install node-llama-cpp (${error?.message ?? `status ${status}`})`;
}
