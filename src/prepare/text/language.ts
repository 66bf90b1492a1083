/**
 * Stage `language`: which language a document is in, by the n-gram tables of `eld` (Efficient Language Detector, 60 languages). A long document is
 * judged by windows spread over it; the confidence is the share of their text in which eld says the language and calls it reliable.
 * So a letter half English, half French is `en` or `fr` with 0.5, and a list of numbers `unknown` with 0.
 * Limits: code counts as the language of its words (mostly English); single words and names are often unknown.
 */
import { z } from 'zod';
import { type TextStage, withNotes } from './stage.ts';

/** eld judges by the first thousand bytes of what it gets. */
const WINDOW_CHARACTERS = 400;
const MAX_WINDOWS = 12;

const schema = z.strictObject({
  /** ISO 639-1 codes of the languages to keep; all without it */
  keep: z
    .array(z.string().regex(/^[a-z]{2}$/))
    .min(1)
    .optional(),
  /** a document of less confidence is of unknown language */
  minConfidence: z.number().min(0).max(1).default(0.5),
  /** keep documents of unknown language */
  keepUnknown: z.boolean().default(false),
});
type LanguageConfig = z.output<typeof schema>;

/** Keeps documents of some languages; notes `language` and `languageConfidence`; counts `language_CODE`. */
export const language: TextStage<LanguageConfig> = {
  name: 'language',
  version: 1,
  schema,
  create: (config) => async (document) => {
    const found = await languageOf(document.text);
    const code = found.confidence >= config.minConfidence ? found.code : 'unknown';
    const counts = { [`language_${code}`]: 1 };
    const detail = `${found.code} ${found.confidence.toFixed(2)}`;
    if (config.keep && code === 'unknown' && !config.keepUnknown) {
      return { reject: 'unknown_language', detail, counts };
    }
    if (config.keep && code !== 'unknown' && !config.keep.includes(code)) {
      return { reject: 'other_language', detail, counts };
    }
    return { keep: withNotes(document, { language: code, languageConfidence: found.confidence }), counts };
  },
};

/** The most frequent language, `unknown` where there is none, and the share of the text it was reliably found in. */
export async function languageOf(text: string): Promise<{ code: string; confidence: number }> {
  // Its tables take half a second, which other stages need not wait.
  const { eld } = await import('eld/small');
  const shares = new Map<string, number>();
  let total = 0;
  for (const window of windowsOf(text)) {
    const found = eld.detect(window);
    total += window.length;
    if (!found.language || !found.isReliable()) continue;
    shares.set(found.language, (shares.get(found.language) ?? 0) + window.length);
  }
  const [code, characters] = [...shares].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0] ?? [
    'unknown',
    0,
  ];
  return { code, confidence: total === 0 ? 0 : Math.round((100 * characters) / total) / 100 };
}

/** Up to {@link MAX_WINDOWS} pieces at equal distances, cut at white space where there is some near. */
function windowsOf(text: string): string[] {
  const trimmed = text.trim();
  const numWindows = Math.min(MAX_WINDOWS, Math.ceil(trimmed.length / WINDOW_CHARACTERS));
  const windows: string[] = [];
  for (let i = 0; i < numWindows; i++) {
    const start = Math.floor((i * trimmed.length) / numWindows);
    const length = Math.min(WINDOW_CHARACTERS, Math.ceil(trimmed.length / numWindows));
    const window = trimmed.slice(start, start + length);
    windows.push(window.replace(/^\S{1,30}\s/, i > 0 ? '' : '$&'));
  }
  return windows;
}
