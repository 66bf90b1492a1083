/** A source of many files as one text, `PATH\nINTEGRITY\n` each, in the order of their paths. Its hash is the source's: the same for a folder and a bucket. */

export type SourceListing = ReadonlyMap<string, string>;

export function listingText(files: SourceListing): string {
  const paths = [...files.keys()].sort((a, b) => (a < b ? -1 : 1));
  return paths.map((path) => `${path}\n${files.get(path)}\n`).join('');
}

/** The listing whose text this is; undefined where it is none. */
export function parseListing(text: string): SourceListing | undefined {
  const lines = text.split('\n').slice(0, -1);
  if (lines.length % 2 === 1) return undefined;
  const files = new Map<string, string>();
  for (let i = 0; i < lines.length; i += 2) files.set(lines[i]!, lines[i + 1]!);
  return listingText(files) === text ? files : undefined;
}
