/**
 * Prepares what is published, in the manner of esbuild: one package per platform, `@dabarex/<platform>-<arch>`, with the
 * addon alone, and the main package, whose optionalDependencies name them at its own version, so that npm installs the one
 * that fits and no compiler is needed. Publish the platforms first.
 *
 *   node scripts/prebuild.mjs [--out packages] [--arm64]
 *
 * --arm64  cross-compiles the package of AArch64 Linux as well
 *
 * Tarballs of platforms built on other machines go into the folder beforehand: the main package names all that lie there.
 */
import './node-version.mjs';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildNative } from './build-native.mjs';
import { findTools } from './native/run-variant.mjs';
import { buildStage } from './native/stage.mjs';
import { variants } from './native/variants.mjs';
import { root, setup } from './setup.mjs';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const work = mkdtempSync(join(tmpdir(), 'dabarex-prebuild-'));

/** Packs `folder` into `out`; returns the name of the tarball. */
function pack(folder, out) {
  return JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', out], folder))[0]
    .filename;
}

function npm(args, cwd) {
  const options = { cwd, encoding: 'utf8', maxBuffer: 2 ** 26, shell: process.platform === 'win32' };
  const { status, stdout, stderr } = spawnSync('npm', [...args, '--loglevel=error'], options);
  if (status !== 0) throw new Error(`${stderr}\nnpm ${args[0]} failed in ${cwd}`);
  return stdout;
}

function writePackage(folder, content) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`);
}

/** The package of one platform around its addon. */
function packPlatform(platform, arch, addon, out) {
  const folder = join(work, `${platform}-${arch}`);
  mkdirSync(folder);
  cpSync(addon, join(folder, 'dabarex.node'));
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const name = `@dabarex/${platform}-${arch}`;
  writeFileSync(
    join(folder, 'README.md'),
    `# ${name}\n\nThe native kernels of \`dabarex\` for ${platform} on ${arch}. Installed by \`dabarex\`, not by hand.\n`,
  );
  writePackage(folder, {
    name,
    version: manifest.version,
    description: `Native kernels of dabarex for ${platform} on ${arch}.`,
    license: manifest.license,
    os: [platform],
    cpu: [arch],
    // Linked with the GNU C library; where there is another, the package is passed over.
    ...(platform === 'linux' ? { libc: ['glibc'] } : {}),
    engines: manifest.engines,
    files: ['dabarex.node'],
    publishConfig: { access: 'public' },
  });
  return pack(folder, out);
}

/** The main package as its `files` say, without an addon of its own, and with the platforms as optional dependencies. */
function packMain(platforms, out) {
  const folder = join(work, 'main');
  const [{ files }] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--dry-run'], root));
  for (const { path } of files) {
    if (!/^(prebuilds\/|package\.json$)/.test(path)) cpSync(join(root, path), join(folder, path));
  }
  const { scripts: _, devDependencies: __, workspaces: ___, ...published } = manifest;
  const optionalDependencies = Object.fromEntries(platforms.map((name) => [name, manifest.version]));
  writePackage(folder, {
    ...published,
    files: published.files.filter((path) => path !== 'prebuilds'),
    optionalDependencies,
  });
  return pack(folder, out);
}

/** The platform packages of this version that lie in `out`. */
function platformsIn(out) {
  const tarball = new RegExp(
    `^dabarex-([a-z0-9]+-[a-z0-9]+)-${manifest.version.replaceAll('.', '[.]')}[.]tgz$`,
  );
  return readdirSync(out).flatMap((file) => {
    const [, platform] = tarball.exec(file) ?? [];
    return platform ? [`@dabarex/${platform}`] : [];
  });
}

const { values } = parseArgs({
  options: { out: { type: 'string', default: join(root, 'packages') }, arm64: { type: 'boolean' } },
});
const out = resolve(values.out);
try {
  await setup();
  // Set-up builds for this processor alone.
  await buildNative({ all: true });
  mkdirSync(out, { recursive: true });
  const own = join(root, 'build/Release/dabarex.node');
  console.log(packPlatform(process.platform, process.arch, own, out));
  if (values.arm64) {
    const stage = await buildStage(findTools(variants.arm64));
    console.log(packPlatform('linux', 'arm64', join(stage, 'build/Release/dabarex.node'), out));
  }
  console.log(packMain(platformsIn(out), out));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
