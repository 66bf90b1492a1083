/**
 * `npm start`: set-up, then `dabarex up recipes/quickstart.yaml` with the arguments given after `--`.
 * The command runs in this process, so a signal reaches it once and its exit code is kept.
 */
import './node-version.mjs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, setup } from './setup.mjs';

try {
  await setup();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
const bin = join(root, 'bin', 'dabarex.mjs');
process.chdir(root);
process.argv = [process.argv[0], bin, 'up', 'recipes/quickstart.yaml', ...process.argv.slice(2)];
await import(pathToFileURL(bin).href);
