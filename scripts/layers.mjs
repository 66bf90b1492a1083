/** The layer check: turns layers.json into rules of dependency-cruiser. `npm run layers` prints what breaks them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cruise } from 'dependency-cruiser';
import { root as repository } from './setup.mjs';

/**
 * What breaks the layers of `rows` (bottom to top) in the folder `root`/src, one line each: an import from a higher row,
 * from a neighbour of the same row, past another folder's index.ts; a folder that no row names.
 */
export async function findViolations(root, rows) {
  const rooms = rows.flat();
  const folders = readdirSync(join(root, 'src'));
  const unknown = folders
    .filter((name) => !rooms.includes(name))
    .map((name) => `src/${name} is in no row of layers.json`);
  const forbidden = rows.flatMap((row, level) =>
    row.map((room) => ({
      name: `${room}-imports-only-lower-rows`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/(${[room, ...rows.slice(0, level).flat()].join('|')})/` },
    })),
  );
  forbidden.push({
    name: 'enter-by-index',
    severity: 'error',
    from: { path: '^src/([^/]+)/' },
    to: { path: '^src/', pathNot: ['^src/$1/', '^src/[^/]+/index[.]ts$'] },
  });
  forbidden.push({
    name: 'resolvable',
    severity: 'error',
    from: { path: '^src/' },
    to: { path: '^[.]', couldNotResolve: true },
  });
  const options = {
    baseDir: root,
    ruleSet: { forbidden },
    validate: true,
    tsPreCompilationDeps: true,
    doNotFollow: 'node_modules',
  };
  const { output } = await cruise(['src'], options);
  return [
    ...unknown,
    ...output.summary.violations.map(({ from, to, rule }) => `${from} -> ${to} (${rule.name})`),
  ];
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const violations = await findViolations(
    repository,
    JSON.parse(readFileSync(join(repository, 'layers.json'), 'utf8')).rows,
  );
  for (const violation of violations) console.error(violation);
  console.log(`layers: ${violations.length} violations`);
  process.exitCode = violations.length ? 1 : 0;
}
