/**
 * The body of a mail (RFC 5322, MIME) as text: decoded by mailparser from whatever encoding and character set, the plain part where there
 * is one, else the text of the HTML part. Headers and attachments go. Quoted replies and signatures stay: stage `mail-body` cuts those.
 */
import { htmlText } from './html.ts';

/** A mailbox file's line before a mail. */
const MBOX_LINE = /^From [^\n]{0,1000}\r?\n/;

/** '' for a mail without text, or one that cannot be read as a mail. */
export async function emailText(bytes: Uint8Array): Promise<string> {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 1024)).toString('latin1');
  const start = MBOX_LINE.exec(head)?.[0].length ?? 0;
  const { simpleParser } = await import('mailparser');
  try {
    const mail = await simpleParser(Buffer.from(bytes.subarray(start)), {
      skipHtmlToText: true,
      skipImageLinks: true,
      skipTextLinks: true,
      skipTextToHtml: true,
    });
    const plain = mail.text?.trim() ?? '';
    if (plain !== '' && !looksLikeHtml(plain)) return plain;
    return htmlText(plain || mail.html || '');
  } catch {
    return '';
  }
}

/** Spam likes to send HTML as plain text. */
function looksLikeHtml(text: string): boolean {
  return /^\s{0,99}(?:<!doctype html|<html|<head|<body|<table|<center|<font|<div|<p>)/i.test(text);
}
