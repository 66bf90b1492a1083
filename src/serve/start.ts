/** Making a server listen. */
import type { FastifyInstance } from 'fastify';
import { DabarexError, type ErrorCode } from '../base/index.ts';

export interface Listening {
  /** `http://127.0.0.1:8000` */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on `host` and `port`; port 0 takes a free one.
 * @throws port_in_use, address_unusable, not_permitted
 */
export async function startServer(
  app: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Listening> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw listenError(error, host, port);
  }
  const address = app.server.address();
  const bound = typeof address === 'object' && address ? address.port : port;
  const name = host.includes(':') ? `[${host}]` : host;
  return { url: `http://${name}:${bound}`, host, port: bound, close: () => app.close() };
}

/** The system's word on why it does not listen, as a coded error where it is the user's to mend. */
function listenError(error: unknown, host: string, port: number): unknown {
  const { code: reason = '' } = error as NodeJS.ErrnoException;
  const coded = (code: ErrorCode, message: string) =>
    new DabarexError(code, message, { host, port, reason }, { cause: error });
  if (reason === 'EADDRINUSE') {
    const problem = `Port ${port} of ${host} is taken by another program.`;
    return coded('port_in_use', `${problem} Stop it, or choose another port with --port.`);
  }
  if (reason === 'EACCES' || reason === 'EPERM') {
    const problem = `This user may not listen on port ${port} of ${host} (${reason}).`;
    return coded('not_permitted', `${problem} Choose a port from 1024 with --port.`);
  }
  if (['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL', 'EAFNOSUPPORT'].includes(reason)) {
    const problem = `The server cannot listen on "${host}" (${reason}): it is no address of this machine.`;
    return coded(
      'address_unusable',
      `${problem} Use --host 127.0.0.1, or --host 0.0.0.0 for all its addresses.`,
    );
  }
  return error;
}
