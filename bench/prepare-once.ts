/** One preparation in a process of its own, for `prepare.bench.ts`: its seconds and its peak of memory as a line of JSON. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { corpusConfigOf } from '../src/cli/data-config.ts';
import { loadRecipe, requirePart } from '../src/cli/recipe.ts';
import { prepareCorpus } from '../src/prepare/index.ts';

const { recipe, dir, memory, threads } = JSON.parse(process.argv[2]!) as {
  recipe: string;
  dir: string;
  memory: string;
  threads: number;
};
const config = corpusConfigOf(requirePart(loadRecipe(recipe, [`data.memory=${memory}`]), 'data'));
const cacheDir = join(process.env.DABAREX_HOME ?? join(homedir(), '.cache', 'dabarex'), 'sources');
const cpu = process.cpuUsage();
const start = performance.now();
const { manifest } = await prepareCorpus(config, { dir, cacheDir, baseDir: dir, threads });
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpu);
const [read] = manifest.stages;
const sizes = Object.values(read!.domains);
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakMb: process.resourceUsage().maxRSS / 1024,
    textBytes: sizes.reduce((sum, each) => sum + each.out.bytes, 0),
  }),
);
