/**
 * One and the same list of questions to an S3 store: those dabarex depends on, and those it can do without. Each check is by itself; what a store gets
 * wrong is named, not thrown.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { fetchSource, ObjectCache, openStore, type S3Keys, type S3Options } from '../../src/storage/index.ts';

export interface ProbedStore {
  readonly endpoint: string;
  readonly credentials: S3Keys;
}

export interface ProbeResult {
  readonly check: string;
  /** 'ok', or what was found */
  readonly result: string;
}

const BUCKET = 'dabarex-probe';
const body = randomBytes(300_000);

type Check = (s3: S3Options, root: string) => Promise<unknown>;

const limits = { retry: { maxAttempts: 2, baseDelayMs: 10 } };
const open = (s3: S3Options, prefix = 'set') => openStore(`s3://${BUCKET}/${prefix}`, { s3, limits });

const CHECKS: Readonly<Record<string, Check>> = {
  'write and read': async (s3) => {
    await open(s3).write('a/x.bin', body);
    same(await open(s3).read('a/x.bin'), body);
  },
  'size and version': async (s3) => {
    const { sizeBytes, etag } = await open(s3).stat('a/x.bin');
    if (sizeBytes !== body.length || !etag) throw new Error(`${sizeBytes} bytes, version ${etag}`);
  },
  'empty object': async (s3, root) => {
    await open(s3).write('empty', new Uint8Array());
    const { path } = await cacheAt(root).fetch(open(s3), 'empty');
    same(readFileSync(path), new Uint8Array());
  },
  range: async (s3) => {
    same(await open(s3).read('a/x.bin', { range: { start: 1000, end: 2000 } }), body.subarray(1000, 2000));
  },
  'upload in parts': async (s3) => {
    const large = randomBytes(6 * 2 ** 20);
    await open({ ...s3, uploadPartBytes: 5 * 2 ** 20 }).write('large.bin', large);
    same(await open(s3).read('large.bin'), large);
  },
  'download in ranges through the cache': async (s3, root) => {
    const sha1 = createHash('sha1').update(body).digest('hex');
    const { path } = await cacheAt(root).fetch(open(s3), 'a/x.bin', {
      sizeBytes: body.length,
      hashes: { sha1 },
    });
    same(readFileSync(path), body);
  },
  'another version is noticed by If-Match': async (s3) => {
    const { etag } = await open(s3).stat('a/x.bin');
    const sink = { write: () => undefined };
    await open(s3).readInto('a/x.bin', sink, { etag });
    await expectCode(
      'object_changed',
      open(s3).readInto('a/x.bin', sink, { etag: '"0123456789abcdef0123456789abcdef"' }),
    );
  },
  'listing in order, names escaped': async (s3) => {
    for (const name of ['ü &<1>', 'b+c', 'd%20e'])
      await open(s3).write(`names/${name}`, body.subarray(0, 10));
    const keys: string[] = [];
    for await (const { key } of open(s3).list!('names/')) keys.push(key.slice(6));
    if (keys.join() !== ['b+c', 'd%20e', 'ü &<1>'].join()) throw new Error(keys.join());
    same(await open(s3).read('names/d%20e'), body.subarray(0, 10));
  },
  'source of text': async (s3, root) => {
    await open(s3, 'text').write('a.txt', Buffer.from('one'));
    await open(s3, 'text').write('b/c.txt', Buffer.from('two'));
    await open(s3, 'text').write('b/d.md', Buffer.from('three'));
    const source = await fetchSource(
      { url: `s3://${BUCKET}/text#**/*.txt` },
      { cacheDir: join(root, 'sources'), store: { s3 } },
    );
    const texts: string[] = [];
    for await (const { path, bytes } of source.files) texts.push(`${path}=${Buffer.from(bytes)}`);
    if (texts.join() !== 'a.txt=one,b/c.txt=two') throw new Error(texts.join());
  },
  'absent object': async (s3) => expectCode('object_missing', open(s3).read('absent')),
  'absent bucket': async (s3) =>
    expectCode('store_refused', openStore('s3://dabarex-absent', { s3, limits }).read('x')),
  'wrong secret': async (s3) => {
    const { accessKeyId } = s3.credentials as S3Keys;
    const credentials = { accessKeyId, secretAccessKey: 'wrong' };
    await expectCode('store_refused', open({ ...s3, credentials }).read('a/x.bin'));
  },
  'If-None-Match on writing (not needed)': async ({ endpoint, credentials }) => {
    const client = clientOf({ endpoint: endpoint!, credentials: credentials as S3Keys });
    const put = new PutObjectCommand({ Bucket: BUCKET, Key: 'set/a/x.bin', Body: 'other', IfNoneMatch: '*' });
    const status = await client.send(put).then(
      () => 200,
      (error) => error.$metadata?.httpStatusCode,
    );
    if (status !== 412) throw new Error(`status ${status}`);
  },
};

/** Asks all questions, in order. */
export async function probe({ endpoint, credentials }: ProbedStore): Promise<ProbeResult[]> {
  await clientOf({ endpoint, credentials })
    .send(new CreateBucketCommand({ Bucket: BUCKET }))
    .catch((error) => {
      if (!/BucketAlready/.test(error.name)) throw error;
    });
  const root = mkdtempSync(join(tmpdir(), 'dabarex-probe-'));
  const results: ProbeResult[] = [];
  try {
    for (const [check, ask] of Object.entries(CHECKS)) {
      const result = await ask({ endpoint, credentials }, root).then(
        () => 'ok',
        (error) => String((error as Error).message).split('\n')[0]!,
      );
      results.push({ check, result });
    }
    return results;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function clientOf({ endpoint, credentials }: ProbedStore): S3Client {
  return new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
}

function cacheAt(root: string): ObjectCache {
  return new ObjectCache({ dir: join(root, 'cache'), limitBytes: 1e9, download: { partBytes: 100_000 } });
}

function same(found: Uint8Array, wanted: Uint8Array): void {
  if (!Buffer.from(found).equals(wanted))
    throw new Error(`${found.length} other bytes, not the ${wanted.length} wanted`);
}

async function expectCode(code: string, work: Promise<unknown>): Promise<void> {
  const found = await work.then(
    () => 'success',
    (error) => (error as { code?: string }).code ?? String(error),
  );
  if (found !== code) throw new Error(`${found} instead of ${code}`);
}
