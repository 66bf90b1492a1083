import Fastify from 'fastify';
import { expect, it } from 'vitest';
import { startServer } from './start.ts';

it('listens, and names a port that is taken', async () => {
  const { port, close } = await startServer(Fastify(), { host: '127.0.0.1', port: 0 });
  await expect(startServer(Fastify(), { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'port_in_use',
    message: expect.stringContaining(String(port)),
  });
  await close();
});

it.each(['203.0.113.7', 'no-such-host.invalid'])(
  'names a host that is none of this machine: %s',
  async (host) => {
    await expect(startServer(Fastify(), { host, port: 0 })).rejects.toMatchObject({
      code: 'address_unusable',
      message: expect.stringContaining(`"${host}"`),
      fields: { host },
    });
  },
);
