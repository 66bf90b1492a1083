/**
 * Stage `normalise`: one way of writing the same text. Encoding accidents are repaired, line ends become `\n`, spaces of all kinds a
 * plain one, characters that show nothing go, and Unicode takes its composed form (NFC, UAX #15).
 * Safe for code and tables by default: indentation and runs of spaces stay unless `whitespace: collapse`.
 */
import { z } from 'zod';
import { repairMojibake } from './mojibake.ts';
import { type TextStage, withText } from './stage.ts';

const schema = z.strictObject({
  /** Unicode normal form */
  form: z.enum(['NFC', 'NFKC', 'none']).default('NFC'),
  /** repair UTF-8 that was read as Latin-1 or Windows-1252 */
  mojibake: z.boolean().default(true),
  /** `trailing`: spaces at line ends go; `collapse`: also runs of spaces and tabs become one space; `keep`: neither */
  whitespace: z.enum(['keep', 'trailing', 'collapse']).default('trailing'),
  /** more blank lines in a row than this are cut to it */
  maxBlankLines: z.int().nonnegative().default(2),
  /** write curly quotes as ' and " */
  straightQuotes: z.boolean().default(false),
});
type NormaliseConfig = z.output<typeof schema>;

export const normalise: TextStage<NormaliseConfig> = {
  name: 'normalise',
  version: 1,
  schema,
  create: (config) => (document) => {
    const { text, counts } = normaliseText(document.text, config);
    return { keep: withText(document, text), counts };
  },
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: vertical tab and form feed end lines
const LINE_ENDS = /\r\n?|[\u000b\u000c\u0085\u2028\u2029]/g;
const SPACES = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is dropped
const CONTROLS = /[\u0000-\u0008\u000e-\u001f\u007f-\u009f]/g;
/** Soft hyphen, zero-width space and joiner of words, byte order mark, direction marks and overrides, and tags. */
const INVISIBLE =
  /[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;
const JOINERS = /[\u200c\u200d]+/g;

/** The text written the one way, and what was changed. */
export function normaliseText(
  text: string,
  config: NormaliseConfig,
): { text: string; counts: Record<string, number> } {
  const counts: Record<string, number> = {};
  if (config.mojibake) {
    const repaired = repairMojibake(text);
    if (repaired.repairs > 0) counts.mojibake_repaired = repaired.repairs;
    text = repaired.text;
  }
  text = text.replace(LINE_ENDS, '\n').replace(SPACES, ' ');
  const visible = text.replace(CONTROLS, '').replace(INVISIBLE, '').replace(JOINERS, idleJoiners);
  if (visible.length < text.length) counts.characters_dropped = text.length - visible.length;
  text = visible.replace(/\p{Surrogate}/gu, '\ufffd');
  if (config.form !== 'none') text = text.normalize(config.form);
  if (config.straightQuotes) text = text.replace(/[‘’‚‛]/g, "'").replace(/[“”„‟]/g, '"');
  if (config.whitespace === 'collapse') text = text.replace(/[ \t]+/g, ' ');
  if (config.whitespace !== 'keep') text = withoutTrailingSpaces(text);
  return { text: limitBlankLines(text, config.maxBlankLines), counts };
}

/** A joiner or non-joiner means something between letters of some scripts and in emoji, never beside ASCII. */
function idleJoiners(run: string, offset: number, whole: string): string {
  const before = offset > 0 ? whole.charCodeAt(offset - 1) : 0;
  const after = offset + run.length < whole.length ? whole.charCodeAt(offset + run.length) : 0;
  return before < 0x80 || after < 0x80 ? '' : run;
}

/** By hand: `[ \t]+$` looks at every run of spaces inside lines once per space. */
function withoutTrailingSpaces(text: string): string {
  if (!/[ \t](?:\n|$)/.test(text)) return text;
  return text
    .split('\n')
    .map((line) => {
      let end = line.length;
      while (end > 0 && (line.charCodeAt(end - 1) === 32 || line.charCodeAt(end - 1) === 9)) end--;
      return end === line.length ? line : line.slice(0, end);
    })
    .join('\n');
}

function limitBlankLines(text: string, max: number): string {
  return text.replace(new RegExp(`\\n{${max + 2},}`, 'g'), '\n'.repeat(max + 1));
}
