import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CliContext, createContext } from './context.ts';
import { Front } from './front.ts';

let folder: string;
let context: CliContext;
let interrupt: AbortController;
let said: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'front-'));
  interrupt = new AbortController();
  said = '';
  const stderr = { write: (text: string) => (said += text) } as unknown as NodeJS.WriteStream;
  context = { ...createContext(), stderr, interrupted: interrupt.signal };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const start = (port = 0, host = '127.0.0.1') =>
  Front.start({ host, port, runsDir: join(folder, 'runs') }, context);

describe('Front', () => {
  it('answers while this thread is blocked, and lets go of its port', async () => {
    const front = await start();
    // A client in a process of its own, waited for without giving way.
    const client = `fetch('${front.url}/api/runs').then((reply) => reply.text()).then(console.log)`;
    expect(execFileSync(process.execPath, ['-e', client], { encoding: 'utf8' })).toBe('[]\n');
    const waiting = front.untilInterrupted();
    interrupt.abort();
    await waiting;
    await front.close();
    await expect(fetch(`${front.url}/health`)).rejects.toThrow();
    expect(said).toBe('');
  });

  it('tells by code why it cannot listen', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(start(port)).rejects.toMatchObject({ code: 'port_in_use', fields: { port } });
    other.close();
  });

  it('tells by code why a model cannot be loaded, and goes on', async () => {
    const front = await start();
    const loader = { dir: join(folder, 'none'), threads: 1, precision: 'auto' } as const;
    await expect(front.serveModel({ id: 'x', loader, engine: {} })).rejects.toMatchObject({
      code: 'file_missing',
    });
    expect((await fetch(`${front.url}/health`)).status).toBe(503);
    await front.close();
  });

  it('says so when its thread ends', async () => {
    const front = await start();
    const worker: Worker = Reflect.get(front, 'worker');
    await worker.terminate();
    await expect(front.untilInterrupted()).rejects.toMatchObject({ code: 'server_stopped' });
    const loader = { dir: folder, threads: 1, precision: 'auto' } as const;
    await expect(front.serveModel({ id: 'x', loader, engine: {} })).rejects.toMatchObject({
      code: 'server_stopped',
    });
    expect(said).toMatch(/^Warning: .* ended/);
    await front.close();
  });
});
