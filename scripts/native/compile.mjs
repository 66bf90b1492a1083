/**
 * Compiles the addon with nothing but a C++ compiler: every file of native/ once, every file of native/kernels/ once per
 * instruction set asked for, as many at a time as there are cores; then links. Beside each object lies the hash of what it was made
 * from (compiler, command, contents of the source and of the headers it read): what is up to date is kept, so a build
 * that was interrupted goes on where it stopped. Only Node-API is used, so one set of headers serves every Node.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

const AVX2 = ['-mavx2', '-mfma', '-mf16c'];
// biome-ignore format: one line
const AVX512 = ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mavx2', '-mfma', '-mprefer-vector-width=512'];

/** Flags of each instruction set, best last. */
const INSTRUCTION_SETS = {
  x64: { baseline: [], avx2: AVX2, avx512: AVX512, avx512bf16: [...AVX512, '-mavx512bf16'] },
  other: { baseline: [] },
};

/** What Linux calls the extensions that an instruction set needs; each set needs those of the one before it, too. */
const EXTENSIONS = {
  avx2: ['avx2', 'fma', 'f16c'],
  avx512: ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl'],
  avx512bf16: ['avx512_bf16'],
};

/** Names of the instruction sets that this processor runs; all that there are for `arch` where it does not say. */
export function usableInstructionSets(arch = process.arch) {
  const all = Object.keys(INSTRUCTION_SETS[arch] ?? INSTRUCTION_SETS.other);
  let flags;
  try {
    flags = readFileSync('/proc/cpuinfo', 'utf8')
      .match(/^flags\s*:(.*)$/m)?.[1]
      .split(' ');
  } catch {
    return all;
  }
  if (!flags) return all;
  const missing = all.findIndex((name) => !(EXTENSIONS[name] ?? []).every((each) => flags.includes(each)));
  return missing < 0 ? all : all.slice(0, missing);
}

// biome-ignore format: by purpose
const FLAGS = [
  '-std=c++17', '-O3', '-ffp-contract=fast', '-fno-math-errno', '-fno-trapping-math',
  '-fPIC', '-pthread', '-fexceptions', '-fno-rtti', '-fvisibility=hidden', '-fno-omit-frame-pointer',
  '-Wall', '-Wextra', '-Wno-unused-parameter', '-Wno-psabi',
];

/** Kernels whose every operation must round, as in the program they agree with to the bit. */
const UNFUSED = ['blocks', 'blocks_k'];

/**
 * The compiler to use: `CXX` of `env` (it may hold arguments), else the first of c++, g++ and clang++ that runs.
 * @returns its `command` and what `--version` says, or the `missing` names
 */
export function findCompiler(env) {
  const candidates = env.CXX?.trim() ? [env.CXX.trim().split(/\s+/)] : [['c++'], ['g++'], ['clang++']];
  for (const command of candidates) {
    const { status, stdout } = spawnSync(command[0], [...command.slice(1), '--version'], {
      env,
      encoding: 'utf8',
    });
    if (status === 0) return { command, version: stdout };
  }
  return { missing: candidates.map(([name]) => name) };
}

/** The folder of node_api.h: of the package node-api-headers, else the running Node's; undefined where there is none. */
export function findHeaders(env) {
  const candidates = [
    join(env.npm_config_nodedir || dirname(dirname(process.execPath)), 'include/node'),
    '/usr/include/node',
  ];
  try {
    const manifest = createRequire(import.meta.url).resolve('node-api-headers/package.json');
    candidates.unshift(join(dirname(manifest), 'include'));
  } catch {
    // Not there in an installed package.
  }
  return candidates.find((folder) => existsSync(join(folder, 'node_api.h')));
}

/**
 * Builds build/Release/dabarex.node in `root`, which holds native/.
 * @param compiler of {@link findCompiler}
 * @param onProgress called with `{ done, total }` in files, those that are up to date included
 * @param jobs files compiled at a time
 * @param instructionSets their names, from the baseline on; default: all of `arch`
 * @param env `CXXFLAGS` and `LDFLAGS` come after our own flags
 * @returns how many files were `compiled`, and the `warnings` of the compiler
 * @throws Error with the compiler's output when a file does not compile
 */
export async function compileAddon({
  root,
  compiler,
  headers,
  arch = process.arch,
  env = process.env,
  force = false,
  jobs = availableParallelism(),
  instructionSets,
  onProgress = () => undefined,
}) {
  const objects = planObjects({ root, compiler, headers, arch, env, instructionSets });
  const library = planLink({ root, compiler, objects, env });
  for (const { out } of objects) mkdirSync(dirname(join(root, out)), { recursive: true });
  mkdirSync(dirname(join(root, library.out)), { recursive: true });
  for (const folder of new Set([...objects, library].map(({ out }) => dirname(join(root, out)))))
    removeParts(folder);
  const due = objects.filter((object) => force || !isFresh(root, object));
  const total = objects.length + 1;
  let done = objects.length - due.length;
  onProgress({ done, total });
  let warnings = '';
  await inParallel(slowestFirst(due), jobs, async (object) => {
    warnings += await make(root, object, env);
    onProgress({ done: ++done, total });
  });
  if (force || !isFresh(root, library)) warnings += await make(root, library, env);
  onProgress({ done: total, total });
  return { compiled: due.length, warnings };
}

/** One task per object: `command` without its output, the file `out`, both as seen from `root`. */
function planObjects({ root, compiler, headers, arch, env, instructionSets }) {
  const common = [...compiler.command, ...FLAGS, '-Inative', `-I${headers}`];
  const task = (source, name, flags) => ({
    id: compiler.version,
    command: [...common, ...flags, ...words(env.CXXFLAGS), '-MMD', '-c', source],
    sources: [source],
    out: `build/obj/${name}.o`,
  });
  const sources = (folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.cc'))
      .sort()
      .map((name) => [`${folder}/${name}`, name.slice(0, -3)]);
  const isas = Object.entries(INSTRUCTION_SETS[arch] ?? INSTRUCTION_SETS.other).filter(
    ([name]) => instructionSets?.includes(name) ?? true,
  );
  const built = isas.map(([name]) => `-DWITH_${name.toUpperCase()}`);
  const own = sources('native').map(([path, name]) => task(path, name, name === 'binding' ? built : []));
  const kernels = isas.flatMap(([isa, flags]) =>
    sources('native/kernels').map(([path, name]) =>
      task(path, `${isa}/${name}`, [
        `-DISA_NS=isa_${isa}`,
        `-DISA_NAME="${isa}"`,
        ...flags,
        ...(UNFUSED.includes(name) ? ['-ffp-contract=off'] : []),
      ]),
    ),
  );
  return [...own, ...kernels];
}

/**
 * Of inline functions that several objects hold the linker takes the first: our own and the baseline stand first, so
 * that it is one that every processor runs.
 */
function planLink({ root, compiler, objects, env }) {
  const flags = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  // Its threads run code of the addon to the end of the process.
  if (process.platform === 'linux') flags.push('-Wl,-z,nodelete');
  const files = objects.map(({ out }) => out);
  return {
    id: compiler.version,
    command: [...compiler.command, ...flags, '-pthread', ...files, ...words(env.LDFLAGS)],
    sources: files,
    out: 'build/Release/dabarex.node',
    record: join(root, 'build/obj/dabarex.node.json'),
  };
}

/** The best instruction sets and the longest sources take longest; started first, they do not run alone at the end. */
function slowestFirst(objects) {
  const slow = ({ out }) => /attention|matrix|elementwise/.test(out);
  return [...objects].reverse().sort((a, b) => slow(b) - slow(a));
}

async function inParallel(items, limit, work) {
  const queue = [...items];
  const workers = Array.from({ length: limit }, async () => {
    try {
      while (queue.length > 0) await work(queue.shift());
    } catch (error) {
      queue.length = 0;
      throw error;
    }
  });
  await Promise.all(workers);
}

/** What a build that was killed left half-written. */
function removeParts(folder) {
  for (const name of readdirSync(folder)) {
    const pid = Number(name.match(/[.](\d+)[.]part([.]d)?$/)?.[1]);
    if (pid && !isAlive(pid)) rmSync(join(folder, name), { force: true });
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Runs a task's command; output and record appear only when it ended well. @returns what the compiler said */
async function make(root, task, env) {
  const out = join(root, task.out);
  const part = `${out}.${process.pid}.part`;
  const read = `${part}.d`;
  const compiles = task.command.includes('-c');
  const args = [...task.command.slice(1), '-o', part, ...(compiles ? ['-MF', read] : [])];
  try {
    const said = await run(task.command[0], args, { cwd: root, env });
    const files = compiles ? dependencies(readFileSync(read, 'utf8')) : task.sources;
    const record = JSON.stringify({ key: keyOf(root, task, files), files });
    // Without a record an object is stale: the old one goes first.
    rmSync(recordOf(root, task), { force: true });
    renameSync(part, out);
    writeFileSync(recordOf(root, task), record);
    return said;
  } finally {
    rmSync(part, { force: true });
    rmSync(read, { force: true });
  }
}

function isFresh(root, task) {
  try {
    const { key, files } = JSON.parse(readFileSync(recordOf(root, task), 'utf8'));
    return existsSync(join(root, task.out)) && key === keyOf(root, task, files);
  } catch {
    // No record, or a file that it names is gone.
    return false;
  }
}

function recordOf(root, { out, record }) {
  return record ?? `${join(root, out)}.json`;
}

function keyOf(root, { id, command }, files) {
  const hash = createHash('sha256').update(JSON.stringify([id, command, files]));
  for (const file of files)
    hash.update('\0').update(readFileSync(file.startsWith('/') ? file : join(root, file)));
  return hash.digest('hex');
}

/** The files that a compiler's dependency file names, `target: file file \` with escaped blanks. */
export function dependencies(text) {
  const list = text.replaceAll('\\\n', ' ').replace(/^.*?:\s/s, '');
  return (list.match(/(?:\\.|[^\s\\])+/g) ?? []).map((word) =>
    word.replace(/\\([ #])/g, '$1').replaceAll('$$', '$'),
  );
}

function words(text) {
  return text?.split(/\s+/).filter(Boolean) ?? [];
}

/** Resolves to what the program printed. */
function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else
        reject(
          new Error(`${output}\n${command} ended with ${signal ?? `exit code ${code}`}: ${args.at(-1)}`),
        );
    });
  });
}
