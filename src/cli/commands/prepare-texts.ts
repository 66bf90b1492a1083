/** What `dabarex prepare` does for a recipe that reads text files as they are: they are fetched and indexed, so that a run finds that done. */
import { DabarexError } from '../../base/index.ts';
import type { CliContext } from '../context.ts';
import { formatCount, formatTable } from '../output.ts';
import { createProgressDisplay } from '../progress.ts';
import type { Recipe } from '../recipe.ts';
import { makeTokenData, type TokenData } from '../stages/data.ts';

interface PrepareTextsOptions {
  readonly threads?: number;
  readonly json?: boolean;
  readonly out?: unknown;
  readonly report?: unknown;
}

/** @throws usage_invalid for options that are about documents; what opening the data throws */
export async function prepareTexts(
  recipe: Recipe,
  options: PrepareTextsOptions,
  isShare: boolean,
  context: CliContext,
): Promise<void> {
  if (options.out !== undefined || options.report !== undefined || isShare) {
    const message =
      '--out, --report, --task and --of are about documents; text files of data.shards are only indexed.';
    throw new DabarexError('usage_invalid', message);
  }
  const progress = createProgressDisplay(context.stderr, context.now);
  let data: TokenData;
  try {
    context.watchInterrupts();
    data = await makeTokenData({
      recipe,
      context,
      threads: options.threads ?? context.threads,
      onProgress: progress.onProgress,
      log: progress.log,
      reusableStage: (_, work) => work(() => undefined),
    });
  } finally {
    progress.stop();
  }
  if (options.json) context.printJson(asJson(data));
  else context.print(render(data));
}

function asJson({ key, sequenceLength, domains, origin }: TokenData) {
  const entries = Object.entries(domains).map(([name, { samples, heldoutSamples }]) => [
    name,
    { files: origin.files?.[name], samples, heldoutSamples },
  ]);
  return { key, sequenceLength, domains: Object.fromEntries(entries) };
}

function render({ domains, origin, sequenceLength }: TokenData): string {
  const rows = Object.entries(domains).map(([name, { samples, heldoutSamples }]) => [
    name,
    origin.files?.[name] ? formatCount(origin.files[name].length) : 'shards',
    formatCount(samples),
    formatCount(samples * sequenceLength),
    formatCount(heldoutSamples),
  ]);
  return formatTable(['domain', 'files', 'samples', 'tokens', 'held-out samples'], rows);
}
