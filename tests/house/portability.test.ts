/**
 * Where there is no compiler: the build says so and ends well, the published packages bring their kernels with them, and
 * without those the reference kernels run with a warning. The dependencies come from the npm registry or npm's cache; what
 * needs them is skipped, with a message, where neither has them.
 */
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readText, repository, whyNotFetched } from './repository.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'dabarex-portability-')));
const bin = join(folder, 'bin');

/** The only programs on the PATH of what these tests run are Node and npm. */
const bareEnvironment = { ...process.env, PATH: bin, CXX: '', npm_config_nodedir: '' };

async function runBare(file: string, args: string[], cwd: string) {
  const options = { cwd, env: bareEnvironment, maxBuffer: 2 ** 26 };
  return promisify(execFile)(file, args, options).catch((error) => {
    if (typeof error.code !== 'number') throw error;
    return error as { code: number; stdout: string; stderr: string };
  });
}

beforeAll(() => {
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  const npm = process.env.PATH!.split(delimiter).map((path) => join(path, 'npm'));
  symlinkSync(realpathSync(npm.find((path) => existsSync(path))!), join(bin, 'npm'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('the build without a compiler says so and ends well', async () => {
  const clone = join(folder, 'clone');
  for (const path of ['scripts', 'native', 'package.json']) {
    cpSync(join(repository, path), join(clone, path), { recursive: true });
  }
  const outcome = await runBare(process.execPath, ['scripts/build-native.mjs'], clone);
  expect(outcome).not.toHaveProperty('code');
  expect(outcome.stdout).toMatch(
    /not built \(no C\+\+ compiler .*found\); the slow reference kernels will run/,
  );
  expect(existsSync(join(clone, 'build'))).toBe(false);
});

const addon = join(repository, 'build/Release/dabarex.node');

describe.skipIf(!existsSync(addon))('the published packages (made where an addon is built)', () => {
  const packages = join(folder, 'packages');
  const app = join(folder, 'app');
  const platform = `${process.platform}-${process.arch}`;
  const ofPlatform = join(app, 'node_modules/@dabarex', platform);
  const { version } = JSON.parse(readText('package.json'));
  let notInstalled: string | null = null;

  beforeAll(async () => {
    const script = join(repository, 'scripts/prebuild.mjs');
    await promisify(execFile)(process.execPath, [script, '--out', packages], { cwd: repository });
    const tarballs = readdirSync(packages);
    expect(tarballs.sort()).toEqual([`dabarex-${platform}-${version}.tgz`, `dabarex-${version}.tgz`].sort());
    mkdirSync(app);
    const manifest = { name: 'app', private: true, type: 'module' };
    writeFileSync(join(app, 'package.json'), JSON.stringify(manifest));
    const install = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
    const files = tarballs.map((name) => join(packages, name));
    const outcome = await runBare(join(bin, 'npm'), [...install, ...files], app);
    notInstalled = 'code' in outcome ? whyNotFetched(outcome.stderr) : null;
    if (notInstalled !== null) return;
    expect(outcome, outcome.stderr).not.toHaveProperty('code');
    const { outputText } = ts.transpileModule(readText('examples/01-tensor.ts'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
    });
    writeFileSync(join(app, 'example.mjs'), outputText);
  }, 180_000);

  beforeEach(({ skip }) => {
    if (notInstalled !== null) skip(notInstalled);
  });

  const example = async () => (await runBare(process.execPath, ['example.mjs'], app)).stdout;
  const evaluation = async () =>
    (await runBare(join(app, 'node_modules/.bin/dabarex'), ['eval', 'no-such-run'], app)).stderr;

  it('are a main package without an addon and one package per platform', () => {
    const main = join(app, 'node_modules/dabarex');
    const read = (path: string) => JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    expect(read(main).optionalDependencies).toEqual({ [`@dabarex/${platform}`]: version });
    expect(existsSync(join(main, 'prebuilds'))).toBe(false);
    expect(existsSync(join(main, 'build'))).toBe(false);
    expect(read(ofPlatform)).toMatchObject({ version, os: [process.platform], cpu: [process.arch] });
  });

  it('run on the native kernels, without a warning', async () => {
    expect(await example()).toMatch(/ on native-\w+\n$/);
    expect(await evaluation()).not.toContain('Warning');
  });

  it('mind a platform package of another version', async () => {
    const path = join(ofPlatform, 'package.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace(`"${version}"`, '"99.0.0"'));
    expect(await evaluation()).toContain(`@dabarex/${platform} is version 99.0.0, this is ${version}`);
    writeFileSync(path, text);
  });

  it('run on the reference kernels with a warning where the platform has no package', async () => {
    rmSync(ofPlatform, { recursive: true });
    expect(await example()).toMatch(/ on reference\n$/);
    expect(await evaluation()).toMatch(
      /^Warning: no native kernels \(.*no package @dabarex\/.*\): the plain TypeScript ones run/,
    );
  });
});
