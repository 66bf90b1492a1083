/** The dashboard's built files at `/`: each file is a route of its own, so what is not there stays a plain 404 of the API. */
import { existsSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

export interface PageOptions {
  /** where `vite build` of the dashboard wrote index.html and assets/ */
  readonly distDir: string;
}

/** Nothing from elsewhere is loaded, and no other site may frame the page. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'";

/** Adds the page; where it was not built, `/` says so instead. */
export function registerPage(app: FastifyInstance, { distDir }: PageOptions): void {
  if (!existsSync(join(distDir, 'index.html'))) {
    app.get('/', (_request, reply) =>
      reply
        .code(503)
        .type('text/plain; charset=utf-8')
        .send(
          'The page has not been built. Run "npm run setup" in the repository and start the server again.\n',
        ),
    );
    return;
  }
  app.register(fastifyStatic, {
    root: resolve(distDir),
    wildcard: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const hashed = path.includes(`${sep}assets${sep}`);
      reply.setHeader('cache-control', hashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      reply.setHeader('content-security-policy', CONTENT_SECURITY_POLICY);
      reply.setHeader('x-content-type-options', 'nosniff');
      reply.setHeader('referrer-policy', 'no-referrer');
    },
  });
}
