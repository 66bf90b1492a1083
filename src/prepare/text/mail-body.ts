/**
 * Stage `mail-body`: what the author of a mail wrote. Lines quoted with `>` and the line that introduces them go, forwarded originals, the signature
 * after `-- ` (RFC 3676, section 4.3) and the footer that a mailing list adds under a rule of underscores or hyphens.
 * Limits: quotations by indentation or HTML, and signatures without the mark, are not seen; introductions are known in English, German and French.
 */
import { z } from 'zod';
import { type TextStage, withText } from './stage.ts';

const schema = z.strictObject({
  quotes: z.enum(['cut', 'keep']).default('cut'),
  signatures: z.enum(['cut', 'keep']).default('cut'),
});
type MailBodyConfig = z.output<typeof schema>;

const QUOTED = /^[ \t]{0,3}(?:[A-Za-z]{1,4}(?=>))?[>|](?:[ \t>]|\S)/;
const INTRODUCTION =
  /(?:\bwrote|\bwrites|\bsaid|\bschrieb|\ba écrit)[^:\n]{0,80}:\s*$|^>?\s{0,3}(?:On|Am|Le) .{5,200}:\s*$/;
const ORIGINAL =
  /^[ \t]{0,3}-{2,}[ ]{0,3}(?:Original Message|Forwarded message|Forwarded by|Ursprüngliche Nachricht|Message d'origine)\b/i;
const SIGNATURE = /^-- ?$/;
const LIST_RULE = /^(?:_{20,}|-{40,}|={40,})$/;
/** A footer is within this many lines of the end. */
const MAX_FOOTER_LINES = 8;

export const mailBody: TextStage<MailBodyConfig> = {
  name: 'mail-body',
  version: 1,
  schema,
  create: (config) => (document) => {
    let lines = document.text.split('\n');
    const counts: Record<string, number> = {};
    const without = (kept: string[], name: string): string[] => {
      if (kept.length < lines.length) counts[name] = lines.length - kept.length;
      return kept;
    };
    if (config.signatures === 'cut') lines = without(withoutSignature(lines), 'signature_lines');
    if (config.quotes === 'cut') lines = without(withoutQuotes(lines), 'quoted_lines');
    if (Object.keys(counts).length === 0) return { keep: document };
    const text = lines.join('\n').trim();
    return text === '' ? { reject: 'only_quotes', counts } : { keep: withText(document, text), counts };
  },
};

function withoutSignature(lines: string[]): string[] {
  const rule = lines.findLastIndex((line) => LIST_RULE.test(line.trim()));
  const body = rule >= 0 && lines.length - rule <= MAX_FOOTER_LINES ? lines.slice(0, rule) : lines;
  const mark = body.findIndex((line) => SIGNATURE.test(line));
  return mark < 0 ? body : body.slice(0, mark);
}

function withoutQuotes(lines: string[]): string[] {
  const original = lines.findIndex((line) => ORIGINAL.test(line));
  const body = original < 0 ? lines : lines.slice(0, original);
  const isCut = body.map((line) => QUOTED.test(line) || /^[ \t]{0,3}>\s*$/.test(line));
  for (let i = 1; i < body.length; i++) {
    if (!isCut[i] || isCut[i - 1]) continue;
    let above = i - 1;
    if (body[above]!.trim() === '') above--;
    if (above >= 0 && body[above]!.length < 300 && INTRODUCTION.test(body[above]!)) isCut[above] = true;
  }
  return body.filter((_, index) => !isCut[index]);
}
