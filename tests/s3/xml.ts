/** The documents S3 answers with, and the little that is read of those it is sent. */
import type { StoredObject } from './objects.ts';

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

export function escaped(text: string): string {
  return text.replace(/[<>&"'\r]/g, (char) => `&#${char.charCodeAt(0)};`);
}

export function errorDocument(code: string, key: string): string {
  return `${HEAD}<Error><Code>${code}</Code><Message>${code}</Message><Key>${escaped(key)}</Key></Error>`;
}

export function createdDocument(bucket: string, key: string, uploadId: string): string {
  return `${HEAD}<InitiateMultipartUploadResult ${NAMESPACE}><Bucket>${bucket}</Bucket><Key>${escaped(key)}</Key><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`;
}

export function completedDocument(bucket: string, key: string, etag: string): string {
  return `${HEAD}<CompleteMultipartUploadResult ${NAMESPACE}><Bucket>${bucket}</Bucket><Key>${escaped(key)}</Key><ETag>${escaped(etag)}</ETag></CompleteMultipartUploadResult>`;
}

export interface Listing {
  readonly bucket: string;
  readonly prefix: string;
  readonly maxKeys: number;
  readonly entries: readonly (readonly [string, StoredObject])[];
  readonly next: string | undefined;
}

export function listingDocument({ bucket, prefix, maxKeys, entries, next }: Listing): string {
  const contents = entries.map(
    ([key, { bytes, etag, modifiedMs }]) =>
      `<Contents><Key>${escaped(key)}</Key><LastModified>${new Date(modifiedMs).toISOString()}</LastModified><ETag>${escaped(etag)}</ETag><Size>${bytes.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
  );
  const token = next === undefined ? '' : `<NextContinuationToken>${escaped(next)}</NextContinuationToken>`;
  return `${HEAD}<ListBucketResult ${NAMESPACE}><Name>${bucket}</Name><Prefix>${escaped(prefix)}</Prefix><MaxKeys>${maxKeys}</MaxKeys><KeyCount>${entries.length}</KeyCount><IsTruncated>${next !== undefined}</IsTruncated>${contents.join('')}${token}</ListBucketResult>`;
}

/** The part numbers and ETags of a CompleteMultipartUpload. */
export function partsOfCompletion(body: string): { number: number; etag: string }[] {
  return [...body.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part]) => ({
    number: Number(/<PartNumber>(\d+)</.exec(part!)?.[1]),
    etag: (/<ETag>(.*?)</.exec(part!)?.[1] ?? '').replace(/&quot;|&#34;/g, '"'),
  }));
}
