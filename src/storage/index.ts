/** Object stores behind one interface, a cache of their objects on disk, and sources of text. */
export type { DownloadOptions, NpmOptions } from './download.ts';
export type { FileDigest } from './file-digest.ts';
export { checkFilesUrl, type FindFilesOptions, type FoundFile, findFiles } from './find-files.ts';
export { globMatcher } from './glob.ts';
export type { HttpOptions } from './http-transport.ts';
export { algorithmOf, hashMismatch, integrityOf, verifyIntegrity } from './integrity.ts';
export {
  fileIntegrity,
  folderIntegrity,
  hashFile,
  type LocalFile,
  type LocalFiles,
  listLocalFiles,
} from './local-files.ts';
export { type NpmConfigPlaces, readNpmConfig } from './npm-config.ts';
export {
  type CachedObject,
  type CacheRequest,
  type CacheStats,
  ObjectCache,
  type ObjectCacheOptions,
} from './object-cache.ts';
export type {
  ByteRange,
  ObjectEntry,
  ObjectSink,
  ObjectStat,
  ObjectStore,
  RequestOptions,
} from './object-store.ts';
export type { RemoteOptions } from './open-remote.ts';
export { openStore, type StoreOptions } from './open-store.ts';
export type { RemoteLimits } from './remote-store.ts';
export type { RetryPolicy } from './retry.ts';
export type { S3Keys, S3Options } from './s3-transport.ts';
export { type FetchedSource, type FetchOptions, fetchSource, type SourceRequest } from './source.ts';
export { parseSourceUrl, type SourceUrl } from './source-url.ts';
export { readTar, type SourceFile } from './tar.ts';
