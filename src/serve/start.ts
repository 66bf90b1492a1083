/** Making a server listen. */
import type { FastifyInstance } from 'fastify';
import { DabarexError } from '../base/index.ts';

export interface Listening {
  /** `http://127.0.0.1:8000` */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on `host` and `port`; port 0 takes a free one.
 * @throws port_in_use
 */
export async function startServer(
  app: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Listening> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new DabarexError(
      'port_in_use',
      `Port ${port} of ${host} is taken by another program. Stop it, or choose another port with --port.`,
      { host, port },
      { cause: error },
    );
  }
  const address = app.server.address();
  const bound = typeof address === 'object' && address ? address.port : port;
  const name = host.includes(':') ? `[${host}]` : host;
  return { url: `http://${name}:${bound}`, host, port: bound, close: () => app.close() };
}
