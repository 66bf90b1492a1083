/**
 * The package as a user gets it: packed, looked over by publint, installed into an empty folder without install scripts,
 * its library and its command line run from there. Skipped, with a message, where neither the npm registry nor npm's cache has
 * the dependencies.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import ts from 'typescript';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { filesBelow, layerRows, readText, repository, whyNotFetched } from './repository.ts';

const run = promisify(execFile);
/** Those that need nothing but this package and Node. */
const examples = filesBelow('examples', /\.ts$/).filter(
  (path) => !/ from '(?!dabarex\/|node:)/.test(readText(path)),
);
const folder = mkdtempSync(join(tmpdir(), 'dabarex-pack-'));
const app = join(folder, 'app');
const installed = join(app, 'node_modules/dabarex');
let tarball: string;
/** what npm warned of when it installed the package */
let warnings: string;
/** why the registry was not reached, if it was not */
let notInstalled: string | null = null;

async function npm(args: string[], cwd: string): Promise<string> {
  const { stdout } = await run('npm', [...args, '--loglevel=error'], { cwd, maxBuffer: 2 ** 26 });
  return stdout;
}

beforeAll(async () => {
  const packed = await npm(['pack', '--json', '--pack-destination', folder], repository);
  tarball = join(folder, basename(JSON.parse(packed.slice(packed.indexOf('[\n')))[0].filename));
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }\n');
  const install = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball];
  try {
    warnings = (await run('npm', [...install, '--loglevel=warn'], { cwd: app })).stderr;
  } catch (error) {
    notInstalled = whyNotFetched((error as { stderr: string }).stderr);
    if (notInstalled === null) throw error;
  }
}, 300_000);

beforeEach(({ skip }) => {
  if (notInstalled !== null) skip(notInstalled);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the packed package', () => {
  it('has nothing publint minds', async () => {
    const { buffer, byteOffset, byteLength } = readFileSync(tarball);
    const bytes = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
    const { messages, pkg } = await publint({ pack: { tarball: bytes } });
    expect(
      messages.filter(({ type }) => type !== 'suggestion').map((each) => formatMessage(each, pkg!)),
    ).toEqual([]);
  });

  it('has no dependency that this Node is too old for', () => {
    expect(warnings).not.toContain('EBADENGINE');
  });

  it('exports every room but cli, with types', () => {
    const { exports } = JSON.parse(readText('package.json'));
    const rooms = layerRows.flat().filter((room) => room !== 'cli');
    expect(Object.keys(exports).sort()).toEqual(
      [...rooms.map((room) => `./${room}`), './package.json'].sort(),
    );
    for (const room of rooms) {
      for (const file of Object.values(exports[`./${room}`] as Record<string, string>)) {
        expect(existsSync(join(installed, file)), file).toBe(true);
      }
    }
  });

  it('holds no tests and no sources it does not need', () => {
    for (const path of ['src', 'tests', 'dist/base/rng.test.js', 'scripts/test.mjs']) {
      expect(existsSync(join(installed, path)), path).toBe(false);
    }
    expect(existsSync(join(installed, 'recipes/quickstart.yaml'))).toBe(true);
  });

  it('has a command line', async () => {
    const { stdout } = await run(
      join(app, 'node_modules/.bin/dabarex'),
      ['model', 'info', 'dbrx-132b', '--json'],
      { cwd: app },
    );
    expect(JSON.parse(stdout).parameters.total).toBe(131_596_523_520);
  });

  it.each(examples)('runs %s', { timeout: 180_000 }, async (path) => {
    const compiled = ts.transpileModule(readText(path), {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        verbatimModuleSyntax: true,
      },
    });
    const file = join(app, `${basename(path, '.ts')}.mjs`);
    writeFileSync(file, compiled.outputText);
    const { stdout } = await run(process.execPath, [file], { cwd: app });
    expect(stdout).not.toBe('');
  });
});
