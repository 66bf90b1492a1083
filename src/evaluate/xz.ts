/** The size `xz -9e` compresses text to, as a yardstick for bits per byte: a strong compressor that learned nothing before. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Compressed size of `text` in bytes; null where no `xz` can be run. */
export async function xzSizeBytes(text: Uint8Array): Promise<number | null> {
  const child = spawn('xz', ['-9e', '-c'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const failed = once(child, 'error').then(() => null);
  let sizeBytes = 0;
  child.stdout.on('data', (part: Uint8Array) => {
    sizeBytes += part.byteLength;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(text);
  const done = once(child, 'close').then(([code]) => (code === 0 ? sizeBytes : null));
  return Promise.race([done, failed]);
}
