/** Object stores behind one interface; today: sources of text from npm packages, local files and http(s). */
export type { DownloadOptions, NpmOptions } from './download.ts';
export { globMatcher } from './glob.ts';
export { algorithmOf, hashMismatch, integrityOf, verifyIntegrity } from './integrity.ts';
export {
  fileIntegrity,
  folderIntegrity,
  type LocalFile,
  type LocalFiles,
  listLocalFiles,
} from './local-files.ts';
export { type NpmConfigPlaces, readNpmConfig } from './npm-config.ts';
export { type FetchedSource, type FetchOptions, fetchSource, type SourceRequest } from './source.ts';
export { parseSourceUrl, type SourceUrl } from './source-url.ts';
export { readTar, type SourceFile } from './tar.ts';
