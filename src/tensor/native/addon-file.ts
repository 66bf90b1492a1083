/**
 * Where the addon lies, whether this runs from src/ or from dist/ of the package: in build/Release of the package (built
 * here by scripts/build-native.mjs), in its prebuilds/, or in the platform's own package, which npm installs as an optional
 * dependency of the published one (scripts/prebuild.mjs).
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export type AddonFile = { path: string; reason: null } | { path: null; reason: string };

/** The addon of the package in `root` for this platform, the first there is, or why there is none. */
export function findAddon(root: string): AddonFile {
  const platform = `${process.platform}-${process.arch}`;
  const own = [join(root, 'build/Release/dabarex.node'), join(root, 'prebuilds', platform, 'dabarex.node')];
  const path = own.find((candidate) => existsSync(candidate));
  if (path) return { path, reason: null };
  return findPackage(root, `@dabarex/${platform}`);
}

/** The addon in the package `name`, which must have the version of this one: both change together. */
function findPackage(root: string, name: string): AddonFile {
  let manifest: string;
  try {
    manifest = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`);
  } catch {
    return { path: null, reason: `not built here, and no package ${name}` };
  }
  const [found, wanted] = [manifest, join(root, 'package.json')].map(
    (file) => JSON.parse(readFileSync(file, 'utf8')).version,
  );
  if (found !== wanted) return { path: null, reason: `${name} is version ${found}, this is ${wanted}` };
  return { path: join(manifest, '..', 'dabarex.node'), reason: null };
}
