/** Text for benches: the beginnings of files of every source of the quickstart, from the cache or the network. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { fetchSource } from '../src/storage/index.ts';

const DOCUMENT_CHARACTERS = 20_000;

/** Documents of at most 20,000 characters, about `bytesPerSource` of each source. */
export async function sampleOfSources(bytesPerSource: number): Promise<string[]> {
  const recipe = parse(readFileSync(new URL('../recipes/quickstart.yaml', import.meta.url), 'utf8')) as {
    data: { domains: Record<string, { sources: { url: string; integrity: string }[] }> };
  };
  const cacheDir = join(process.env.DABAREX_HOME ?? join(homedir(), '.cache', 'dabarex'), 'sources');
  const documents: string[] = [];
  for (const source of Object.values(recipe.data.domains).flatMap((domain) => domain.sources)) {
    const { files } = await fetchSource(source, { cacheDir });
    let bytes = 0;
    for await (const file of files) {
      const text = Buffer.from(file.bytes).toString('utf8').slice(0, DOCUMENT_CHARACTERS);
      documents.push(text);
      bytes += Buffer.byteLength(text);
      if (bytes > bytesPerSource) break;
    }
  }
  return documents;
}
