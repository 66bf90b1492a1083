/** This repository as the house tests see it: its folder, its layers, its source files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export function readText(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

/** The rows of layers.json, bottom to top. */
export const layerRows: string[][] = JSON.parse(readText('layers.json')).rows;

/** Paths of the files below `folder` whose name matches, relative to the repository; [] where there is no such folder. */
export function filesBelow(folder: string, name: RegExp): string[] {
  const full = join(repository, folder);
  if (!existsSync(full)) return [];
  return readdirSync(full, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (['node_modules', 'dist', 'build'].includes(entry.name)) return [];
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return filesBelow(path, name);
      return name.test(entry.name) ? [path] : [];
    });
}

/**
 * Why npm could not install, where that is because neither a registry nor its cache has the packages; null where it is for
 * another reason, which is a failure.
 */
export function whyNotFetched(stderr: string): string | null {
  const code =
    /\b(ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b/.exec(
      stderr,
    );
  return code ? `skipped: npm reaches no registry and its cache is not warm (${code[1]})` : null;
}
