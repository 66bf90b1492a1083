/** Where the server listens and how much it takes at once: the `serve` part of a recipe. */
import { z } from 'zod';
import { WEIGHT_KINDS } from '../tensor/index.ts';

export const serveConfigSchema = z.strictObject({
  /** an address other than loopback lets the network in: there is no authentication */
  host: z.string().min(1).default('127.0.0.1'),
  /** 0 takes any free port */
  port: z.int().min(0).max(65535).default(8000),
  /** answers generated at once */
  slots: z.int().min(1).max(1024).default(8),
  /** requests that wait for a slot at most; one more gets 503 server_overloaded */
  maxQueue: z.int().min(0).default(128),
  /** how weights are kept: fewer bits are read faster; left out: as in training */
  weights: z.enum(WEIGHT_KINDS).optional(),
});

export type ServeConfig = z.infer<typeof serveConfigSchema>;
