/**
 * Stage `pii`: what identifies people or opens doors is replaced by a placeholder (`<EMAIL>`) and counted by kind; a document with more of it
 * than `maxFindings` is rejected. Kinds: e-mail addresses; telephone numbers written internationally or in a national form with separators; IPv4 and
 * IPv6 addresses but those of documentation, private and loopback ranges; payment cards that pass Luhn's check; keys and tokens: known prefixes,
 * private key blocks, and long strings of high entropy after a word such as `secret`.
 * Built for precision: version numbers, arithmetic, hashes and code must stay. Limits: names, postal addresses, bare digit runs as telephone
 * numbers, and keys in unknown forms are not found.
 */
import { z } from 'zod';
import { ipKind, isCardNumber, isPhoneNumber, isSecret } from './pii-checks.ts';
import { type TextStage, withText } from './stage.ts';

const KINDS = ['email', 'phone', 'ip', 'card', 'secret'] as const;
type Kind = (typeof KINDS)[number];

const schema = z.strictObject({
  kinds: z
    .array(z.enum(KINDS))
    .min(1)
    .default([...KINDS]),
  /** what stands in the place of each; `{KIND}` is its name in capitals */
  placeholder: z.string().default('<{KIND}>'),
  /** reject a document with more findings; null: none */
  maxFindings: z.int().nonnegative().nullable().default(null),
  /** addresses of these domains, and of their subdomains, stay */
  allowedDomains: z.array(z.string()).default(['example.com', 'example.org', 'example.net']),
});
type PiiConfig = z.output<typeof schema>;

export const pii: TextStage<PiiConfig> = {
  name: 'pii',
  version: 1,
  schema,
  create: (config) => (document) => {
    const { text, counts } = scrub(document.text, config);
    const numFound = Object.values(counts).reduce((sum, each) => sum + each, 0);
    if (config.maxFindings !== null && numFound > config.maxFindings) {
      return { reject: 'too_much_pii', detail: String(numFound), counts };
    }
    return { keep: withText(document, text), counts };
  },
};

/**
 * The kinds in the order of their search: what one takes is gone for the next. Every repetition is bounded, or its characters cannot begin
 * what follows it, so that no text takes more than linear time.
 */
const PATTERNS: readonly { kind: Kind; pattern: RegExp; isFound: (found: RegExpExecArray) => boolean }[] = [
  {
    kind: 'secret',
    pattern:
      /-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s:,.()]|-(?!-)){0,20000}-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----/g,
    isFound: () => true,
  },
  {
    kind: 'secret',
    // GitHub, GitLab, OpenAI and Anthropic, AWS, Google, Slack, Stripe, npm, Hugging Face, SendGrid, JSON web tokens
    pattern:
      /(?<![A-Za-z0-9_-])(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{22,251}|glpat-[A-Za-z0-9_-]{20,64}|sk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,200}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|xox[abposr]-[A-Za-z0-9-]{10,200}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,128}|npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30,64}|SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}|eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000})(?![A-Za-z0-9_-])/g,
    isFound: (found) => isSecret(found[0], 3),
  },
  {
    kind: 'secret',
    pattern:
      /(?<=(?:key|secret|token|passwd|password|credential)s?["'`]?[ \t]{0,4}(?:=|:|=>|is)[ \t]{0,4}["'`]?)[A-Za-z0-9+/_=-]{16,200}(?![A-Za-z0-9+/_=-])/gi,
    isFound: (found) => isSecret(found[0], 3.5) && /\d/.test(found[0]) && /[A-Za-z]/.test(found[0]),
  },
  {
    kind: 'email',
    pattern:
      /(?<![A-Za-z0-9._%+-])[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9@-])/g,
    isFound: () => true,
  },
  {
    kind: 'ip',
    pattern: /(?<![\w.:/@-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)/g,
    isFound: (found) => ipKind(found[0], before(found)) === 'public',
  },
  {
    kind: 'ip',
    pattern: /(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])/g,
    isFound: (found) => ipKind(found[0], before(found)) === 'public',
  },
  {
    kind: 'card',
    pattern: /(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)/g,
    isFound: (found) => isCardNumber(found[0]) && !/[*/^<>=+%&|-] ?$/.test(before(found)),
  },
  {
    kind: 'phone',
    pattern: /(?<![\w.+*/^=-])(?:\+|00|\()?\d(?:[ .()/-]{0,3}\d){6,16}(?![\w*/^=-]|[.,]\d)/g,
    isFound: (found) => isPhoneNumber(found[0], before(found)),
  },
];

/** The text with placeholders, and how many of each kind. */
export function scrub(text: string, config: PiiConfig): { text: string; counts: Record<string, number> } {
  const counts: Record<string, number> = {};
  for (const { kind, pattern, isFound } of PATTERNS) {
    if (!config.kinds.includes(kind)) continue;
    const placeholder = config.placeholder.replaceAll('{KIND}', kind.toUpperCase());
    text = text.replace(pattern, (found: string, ...rest) => {
      const offset = rest.find((each) => typeof each === 'number') as number;
      const match = Object.assign([found] as string[], { index: offset, input: text }) as RegExpExecArray;
      if (!isFound(match)) return found;
      if (kind === 'email' && isAllowed(found, config.allowedDomains)) return found;
      counts[kind] = (counts[kind] ?? 0) + 1;
      return placeholder;
    });
  }
  return { text, counts };
}

/** A few characters before a finding: the words that say what it is. */
function before(found: RegExpExecArray): string {
  return found.input.slice(Math.max(0, found.index - 24), found.index);
}

function isAllowed(address: string, domains: readonly string[]): boolean {
  const domain = address.slice(address.indexOf('@') + 1).toLowerCase();
  return domains.some((each) => domain === each || domain.endsWith(`.${each}`));
}
