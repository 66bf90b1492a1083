/**
 * A stage is a small copy of the repository in which one variant of the addon meets the tests of kernels: the addon in
 * build/Release, the compiled test files and what they import in src/ and tests/, and `vitest` stood in for. Never touches
 * the addon of the repository itself. Stages live in .cache/native/<variant> and are built incrementally.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { compileAddon, findCompiler, findHeaders } from './compile.mjs';

export const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const cache = join(repository, '.cache');

/**
 * Builds the addon of `variant` (variants.mjs, tools found) in its stage; returns the stage's folder.
 * @throws Error with the compiler's output when it does not build
 */
export async function buildStage(variant) {
  const folder = join(cache, 'native', variant.name);
  mkdirSync(folder, { recursive: true });
  if (variant.build) await buildAddon(folder, variant.build);
  else copyAddon(folder);
  return folder;
}

function copyAddon(folder) {
  const to = join(folder, 'build', 'Release', 'dabarex.node');
  const from = join(repository, 'build', 'Release', 'dabarex.node');
  if (!existsSync(from)) throw new Error('there is no addon in build/Release: run `npm run setup`');
  cpSync(from, to);
}

async function buildAddon(folder, { env, arch }) {
  rmSync(join(folder, 'native'), { recursive: true, force: true });
  cpSync(join(repository, 'native'), join(folder, 'native'), { recursive: true });
  const all = { ...process.env, ...env };
  const compiler = findCompiler(all);
  const headers = findHeaders(all);
  if (compiler.missing) throw new Error(`no C++ compiler (${compiler.missing.join(', ')}) found`);
  if (!headers) throw new Error('there is no node_api.h: run `npm run setup`');
  const { warnings } = await compileAddon({ root: folder, compiler, headers, arch, env: all });
  // A compiler that only warns still has something to say.
  if (warnings.trim()) console.log(warnings.trimEnd());
}

/** Compiles `testFiles`, paths in the repository, and what they import into a stage; puts the runner beside them. */
export function compileTests(folder, testFiles) {
  for (const path of ['src', 'tests']) rmSync(join(folder, path), { recursive: true, force: true });
  const config = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      incremental: false,
      tsBuildInfoFile: null,
      declaration: false,
      rootDir: repository,
      outDir: folder,
    },
    files: testFiles.map((path) => join(repository, path)),
    include: [],
  };
  const project = join(folder, 'tsconfig.json');
  writeFileSync(project, JSON.stringify(config));
  const tsc = join(repository, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${stdout}\ntsc failed`);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  cpSync(join(repository, 'scripts/native/run-suite.mjs'), join(folder, 'run-suite.mjs'));
  const standIn = join(folder, 'node_modules', 'vitest');
  mkdirSync(standIn, { recursive: true });
  const api = pathToFileURL(join(repository, 'scripts/native/vitest-api.mjs')).href;
  writeFileSync(join(standIn, 'index.js'), `export * from '${api}';\n`);
  writeFileSync(join(standIn, 'package.json'), '{ "type": "module", "main": "index.js" }\n');
}
