/**
 * The build of the addon, on a small native/ and with the real compiler: with nothing but a compiler, continued where it was
 * stopped, and only what is out of date compiled. Skips where there is no C++ compiler.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { repository } from './repository.ts';

interface Build {
  compiled?: number;
  progress: { done: number; total: number }[];
  error?: string;
}

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'dabarex-build-')));
const root = join(folder, 'with a blank');
const addon = join(root, 'build/Release/dabarex.node');
const onPath = (name: string) =>
  process.env
    .PATH!.split(delimiter)
    .map((path) => join(path, name))
    .find((path) => existsSync(path));
const hasCompiler = process.platform !== 'win32' && onPath('c++') !== undefined;

/** Builds `root` in a process of its own and prints what became of it. */
const program = `
  import { compileAddon, findCompiler, findHeaders } from ${JSON.stringify(
    pathToFileURL(join(repository, 'scripts/native/compile.mjs')).href,
  )};
  const progress = [];
  const onProgress = (each) => { progress.push(each); process.stderr.write('*'); };
  const tools = { compiler: findCompiler(process.env), headers: findHeaders(process.env), arch: 'other', jobs: 1 };
  compileAddon({ root: process.argv[1], ...tools, onProgress }).then(
    ({ compiled }) => console.log(JSON.stringify({ compiled, progress })),
    ({ message }) => console.log(JSON.stringify({ error: message, progress })),
  );`;
const args = ['--input-type=module', '-e', program, root];

function build(env: NodeJS.ProcessEnv = process.env): Build {
  const { stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  if (!stdout) throw new Error(stderr);
  return JSON.parse(stdout);
}

const source = (path: string, text: string) => writeFileSync(join(root, 'native', path), text);

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, 'native/kernels'), { recursive: true });
  source('answer.h', 'inline int answer() { return 42; }\n');
  source(
    'binding.cc',
    '#include <node_api.h>\n#include "answer.h"\nint main_answer() { return answer(); }\n',
  );
  source('alone.cc', 'int alone() { return 1; }\n');
  source('kernels/one.cc', 'namespace ISA_NS { int one() { return 1; } }\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!hasCompiler)('the build of the addon', { timeout: 120_000 }, () => {
  it('needs a compiler and nothing else, and counts its files', () => {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    for (const name of ['c++', 'as', 'ld']) symlinkSync(realpathSync(onPath(name)!), join(bin, name));
    const { compiled, progress, error } = build({ PATH: bin });
    expect(error).toBeUndefined();
    expect(compiled).toBe(3);
    expect(progress.map(({ done }) => done)).toEqual([0, 1, 2, 3, 4]);
    expect(existsSync(addon)).toBe(true);
  });

  it('compiles what is out of date and no more', () => {
    expect(build().compiled).toBe(3);
    expect(build().compiled).toBe(0);
    source('answer.h', 'inline int answer() { return 43; }\n');
    expect(build().compiled).toBe(1);
    expect(build({ ...process.env, CXXFLAGS: '-g' }).compiled).toBe(3);
    source('kernels/two.cc', 'namespace ISA_NS { int two() { return 2; } }\n');
    expect(build({ ...process.env, CXXFLAGS: '-g' }).compiled).toBe(1);
  });

  it('goes on where it was stopped', async () => {
    for (let i = 0; i < 12; i++) source(`kernels/more${i}.cc`, '#include <string>\n');
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let files = 0;
    child.stderr.on('data', (stars: Buffer) => {
      files += stars.length;
      if (files > 4) child.kill('SIGINT');
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect(existsSync(addon)).toBe(false);
    const { compiled } = build();
    expect(compiled).toBeGreaterThan(0);
    expect(compiled).toBeLessThanOrEqual(15 - 4);
    expect(existsSync(addon)).toBe(true);
  });

  it('tells what the compiler minds, and leaves no half object', () => {
    source('alone.cc', 'int alone() { return missing; }\n');
    const { error } = build();
    expect(error).toMatch(/alone\.cc:1.*missing/s);
    expect(existsSync(addon)).toBe(false);
    expect(readdirSync(join(root, 'build/obj')).filter((name) => /alone|part/.test(name))).toEqual([]);
    source('alone.cc', 'int alone() { return 1; }\n');
    expect(build().error).toBeUndefined();
  });
});
