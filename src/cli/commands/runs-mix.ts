/** `dabarex runs mix`: shows or changes the mix of domains that a run draws from, while it is at work. */
import { Command } from 'commander';
import { DabarexError, parseConfig } from '../../base/index.ts';
import {
  findRun,
  isRunAlive,
  type RequestedWeights,
  readEvents,
  readRecipe,
  writeMixRequest,
} from '../../runs/index.ts';
import type { CliContext } from '../context.ts';
import { domainsOf } from '../data-config.ts';
import { examples } from '../help.ts';
import { type Recipe, recipeSchema, requirePart } from '../recipe.ts';
import { describeMix } from '../stages/mix.ts';

interface MixOptions {
  readonly runsDir: string;
  readonly set?: string;
  readonly curriculum?: boolean;
  readonly json?: boolean;
}

/** @returns the command `runs mix` */
export function mixCommand(context: CliContext): Command {
  const command = new Command('mix')
    .description(
      'show or change the mix of domains of a running job; it takes the new one before its next step',
    )
    .argument('<name>', 'as `dabarex runs` lists it')
    .option('--set <domain=weight,...>', 'relative weights; a domain left out has 0')
    .option('--curriculum', 'back to the curriculum of the recipe')
    .option('--runs-dir <folder>', 'where the runs are', context.runsDir)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex runs mix quickstart', 'what it draws from'],
        ['dabarex runs mix quickstart --set prose=0.5,maths=0.5', 'from the next step on'],
        ['dabarex runs mix quickstart --curriculum', 'as the recipe has it again'],
      ]),
    );
  return command.action((name: string, options: MixOptions) => {
    if (options.set !== undefined && options.curriculum) {
      command.error('error: give --set or --curriculum, not both');
    }
    mix(findRun(options.runsDir, name), options, context);
  });
}

function mix(path: string, { set, curriculum, json }: MixOptions, context: CliContext): void {
  const recipe: Recipe = parseConfig(recipeSchema, readRecipe(path), path);
  if (set === undefined && !curriculum) {
    const last = mixInForce(path);
    if (json) context.printJson({ run: path, ...last });
    else
      context.print(
        `${path}: since step ${last.since}, ${last.weights ? describeMix(last.weights) : last.mix}`,
      );
    return;
  }
  const weights: RequestedWeights = set === undefined ? 'curriculum' : parseWeights(set);
  const file = writeMixRequest(path, weights, domainsOf(requirePart(recipe, 'data')));
  const when = isRunAlive(path)
    ? 'the run takes it before its next step'
    : 'a run that is not at work takes it when it is continued';
  if (json) context.printJson({ run: path, request: file, weights });
  else context.print(`Written: ${file}; ${when}.`);
}

/** What the events say last: a change by hand outlasts phases. */
function mixInForce(path: string) {
  let phase: { since: number; weights: Record<string, number> | null } = { since: 0, weights: null };
  let changed: typeof phase | undefined;
  for (const event of readEvents(path).values) {
    if (event.type === 'phase_started') phase = { since: event.step ?? 0, weights: event.weights };
    if (event.type === 'mix_changed') {
      changed = event.weights ? { since: event.step, weights: event.weights } : undefined;
    }
  }
  const mix = changed ? 'changed' : phase.weights ? 'curriculum' : 'by size';
  return { mix, ...(changed ?? phase) };
}

/** `prose=0.5,code=1` */
function parseWeights(text: string): Record<string, number> {
  const entries = text.split(',').map((part): [string, number] => {
    const [, name, weight] = /^\s*([a-z][a-z0-9_-]*)\s*=\s*(\d*\.?\d+)\s*$/.exec(part) ?? [];
    if (name === undefined) {
      throw new DabarexError(
        'usage_invalid',
        `--set ${text}: "${part}" is no DOMAIN=WEIGHT. Write for example --set prose=0.5,code=0.5.`,
        { value: text },
      );
    }
    return [name, Number(weight)];
  });
  return Object.fromEntries(entries);
}
