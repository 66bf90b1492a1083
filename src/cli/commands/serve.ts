/** `dabarex serve`: the OpenAI-compatible endpoint and the page for a trained model. */
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { createServer, startServer } from '../../serve/index.ts';
import type { CliContext } from '../context.ts';
import { startEngine } from '../engine.ts';
import { examples } from '../help.ts';
import { findModelFolder } from '../model-folder.ts';
import { portNumber, positive } from '../sampling.ts';

interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly slots: number;
  readonly threads?: number;
  readonly json?: boolean;
}

/** @returns the command `serve` */
export function serveCommand(context: CliContext): Command {
  return new Command('serve')
    .description('serve a trained model: OpenAI’s API and a web page')
    .argument('<model>', 'a run by name or folder, or a model folder')
    .option('--host <address>', 'beyond loopback there is no authentication', '127.0.0.1')
    .option('--port <n>', '0 takes any free port', portNumber, 8000)
    .option('--slots <n>', 'answers generated at once', positive, 8)
    .option('--threads <n>', 'default: all the machine offers', positive)
    .option('--json', 'the address as one JSON object')
    .addHelpText(
      'after',
      examples([
        ['dabarex serve quickstart', 'on http://127.0.0.1:8000'],
        ['dabarex serve path/to/model --port 0 --json', 'any free port, printed for a script'],
        ['curl http://127.0.0.1:8000/v1/models', 'what is served'],
      ]),
    )
    .action((model: string, options: ServeOptions) => serve(model, options, context));
}

async function serve(model: string, options: ServeOptions, context: CliContext): Promise<void> {
  const { dir, name } = findModelFolder(model, context);
  const threads = options.threads ?? context.threads;
  const server = createServer({
    nowSeconds: () => Math.floor(context.now() / 1000),
    runsDir: context.runsDir,
    pageDir: pageDir(),
    allowedHosts: [options.host],
    onError: (error, request) => context.stderr.write(`request ${request}: ${(error as Error).message}\n`),
  });
  const listening = await startServer(server.app, options);
  try {
    context.watchInterrupts();
    const engine = await startEngine({ dir, threads, precision: 'auto' }, { slots: options.slots });
    try {
      server.attachEngine(engine, { id: name, created: Math.floor(context.now() / 1000) });
      if (options.json) context.printJson({ url: listening.url, model: name, dir });
      else
        context.print(`${name}: ${listening.url} (page), ${listening.url}/v1 (OpenAI’s API). Ctrl-C ends.`);
      await untilAborted(context.interrupted);
    } finally {
      await engine.close();
    }
  } finally {
    await listening.close();
  }
}

/** The built files of the page. */
export function pageDir(): string {
  return fileURLToPath(new URL('../../../dashboard/dist', import.meta.url));
}

/** Ends when `signal` is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
