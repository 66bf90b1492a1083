/** Whether digits are an address, a card or a telephone number, and whether a string is a secret: the second look at what the patterns find. */
import { isIP, isIPv4, isIPv6 } from 'node:net';

/** Ranges that name no machine of anyone: RFC 1918, 5737, 3927, 6890. */
const RESERVED_IPV4 =
  /^(?:0|10|127|169\.254|192\.168|192\.0\.2|198\.51\.100|203\.0\.113|172\.(?:1[6-9]|2\d|3[01])|255|2[2-4]\d)\./;
const VERSION_BEFORE = /(?:\bv|version|release|section|sec\.|chapter|§|build|revision|\brev|[@#~^])\s*$/i;

/** `public` where the text is an IP address of a machine somewhere. */
export function ipKind(text: string, before: string): 'public' | 'other' {
  if (isIP(text) === 0) return 'other';
  if (isIPv4(text)) {
    const looksLikeVersion =
      VERSION_BEFORE.test(before) || text.split('.').every((part) => Number(part) < 20);
    return looksLikeVersion || RESERVED_IPV4.test(`${text}.`) ? 'other' : 'public';
  }
  // `::` and times such as 12:30:45 are no addresses; fe80, fc and fd are local, 2001:db8 is for documentation.
  const isAddress = isIPv6(text) && text.replaceAll(':', '').length >= 6 && text.split(':').length >= 4;
  return isAddress && !/^(?:fe[89ab]|f[cd]|2001:0?db8|::1$|::ffff)/i.test(text) ? 'public' : 'other';
}

/** 13 to 19 digits of a known issuer that pass Luhn's check, not all alike. */
export function isCardNumber(text: string): boolean {
  const separators = new Set(text.replace(/\d/g, ''));
  if (separators.size > 1) return false;
  const digits = text.replace(/\D/g, '');
  if (digits.length < 13 || digits.length > 19) return false;
  if (!/^(?:4|5[1-5]|2[2-7]|3[47]|3[0689]|6(?:011|5|4[4-9]))/.test(digits)) return false;
  const isGrouped =
    separators.size === 0 || /^(?:\d{4}[ -]){3}\d{1,7}$|^\d{4}[ -]\d{6}[ -]\d{4,5}$/.test(text);
  return isGrouped && new Set(digits).size > 1 && passesLuhn(digits);
}

function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

const NATIONAL = [
  // (415) 555-0132, 1-415-555-0132, 415-555-0132, 415.555.0132
  /^(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-.])[2-9]\d{2}[-.]\d{4}$/,
  // 020 7946 0958, 01 23 45 67 89, 030/901820, 0171-2345678: a trunk zero and separators
  /^\(?0[1-9]\d{0,4}\)?(?:[ /-]\d{2,8}){1,5}$/,
];
const PHONE_BEFORE =
  /(?:tel|phone|telephone|fax|call|mobile|cell|ph)\.?\s*(?:no\.?|number|us|:|#|at)?[ \t:.]*$/i;

/** E.164 with a plus or 00; a national form with its separators; or any such digits after a word such as `phone`. */
export function isPhoneNumber(text: string, before: string): boolean {
  const digits = text.replace(/\D/g, '');
  const isNamed = PHONE_BEFORE.test(before);
  if (digits.length < 7 || digits.length > 15 || /[.()/-]{3}|[ .()/-]$/.test(text)) return false;
  if (/^\d{4}-\d{2}-\d{2}|^\d{1,2}[./]\d{1,2}[./]\d{2,4}/.test(text)) return false;
  if (text.startsWith('+')) return /^\+[1-9]/.test(text) && digits.length >= 8 && isSeparated(text);
  if (text.startsWith('00')) return isNamed && digits.length >= 10;
  if (isNamed) return true;
  return NATIONAL.some((form) => form.test(text)) && new Set(digits).size > 2;
}

/** `+49 30 901820` and `+4930901820`, but not `+1.5 - 3.25`. */
function isSeparated(text: string): boolean {
  return !/ [.-] |\d\.\d{1,2}\D|\) *\(/.test(text);
}

/** Shannon's entropy of the characters, in bits for each, is at least `minBits`. */
export function isSecret(text: string, minBits: number): boolean {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits >= minBits;
}
