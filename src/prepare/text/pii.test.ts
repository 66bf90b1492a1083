import { describe, expect, it } from 'vitest';
import { pii, scrub } from './pii.ts';
import { documentsOf, runStage, textsOf } from './testing/run-stage.ts';

const config = pii.schema.parse({});
const scrubbed = (text: string) => scrub(text, config).text;

describe('pii', () => {
  it.each([
    ['write to Jane.Doe+list@mail.research.org.', 'write to <EMAIL>.'],
    ['<a_b@x-y.co.uk>, c@d.io', '<<EMAIL>>, <EMAIL>'],
    ['call +49 30 901820 or +1 (415) 555-2671', 'call <PHONE> or <PHONE>'],
    ['phone: 5552671, fax 415.555.2671', 'phone: <PHONE>, fax <PHONE>'],
    ['(415) 555-2671; 1-415-555-2671', '<PHONE>; <PHONE>'],
    ['Tel. 020 7946 0958', 'Tel. <PHONE>'],
    ['from 81.23.200.7 and 2a02:8109:9a40::17', 'from <IP> and <IP>'],
    ['card 4111 1111 1111 1111, 5500005555555559', 'card <CARD>, <CARD>'],
    [`token ghp_${'a1B2c3D4e5F6'.repeat(3)} end`, 'token <SECRET> end'],
    ['AWS_KEY=AKIAIOSFODNN7QWERTYU', 'AWS_KEY=<SECRET>'],
    ['api_key: "8fK2mX9qLr4TzWb1NcYh"', 'api_key: "<SECRET>"'],
    ['password=Zx81kPq0vTr5mNw2', 'password=<SECRET>'],
    [
      '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEpAIBAAKC+/=\n-----END RSA PRIVATE KEY-----\nx',
      '<SECRET>\nx',
    ],
  ])('finds %s', (text, expected) => {
    expect(scrubbed(text)).toBe(expected);
  });

  it.each([
    'version 10.2.13.4, v81.0.4044.138, 1.2.3.4 and lib@4.17.21.9',
    'hosts 127.0.0.1, 192.168.1.7, 10.0.0.1, 203.0.113.9, ::1, fe80::1, 2001:db8::7, 12:30:45',
    'std::vector<int>::iterator, a::b::c, dead:beef, 00:1b:44:11:3a:b7',
    '3.14159265358979 + 2.718281828459045 = 5.859874482048838; x = 1234567890',
    '2 * 4111111111111111 and 0.4111111111111111, 4111111111111112',
    '1920-1080-60, 2024-01-15 10:20:30, 01/02/2024, 192-168, 1, 2, 3, 4, 5, 6, 7, 8',
    '(10) 20 30 40 50, 100 200 300 400, 555-2671 x 12, -1 -2 -3 -4 -5 -6 -7',
    'f(0.1, 0.25, -3.5e-10) [1 2 3 4 5 6 7 8] 0x7fffffff 1_000_000_000',
    'ISBN 978-3-16-148410-0, RFC 2822, room 1234567, 10000000000000000',
    'const key = "anotherOrdinaryIdentifier"; const token: TokenClassification = next()',
    'sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    '@decorator user@host, a @ b.c, x@y, name@example.com, me@mail.example.org',
    'git@v1.2 integrity sha512-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789==',
    '| 1.0 | 20.5 | 300 | 4000 |\n+1.5 - 3.25 + 4 (5) 600 7000',
    'sk-learn, AIza, eyJ.eyJ.x, key: value, secret is out there somewhere tonight',
  ])('leaves %s', (text) => {
    expect(scrub(text, config)).toEqual({ text, counts: {} });
  });

  it('counts by kind, rejects above a bound, and looks for what it is told', async () => {
    const [document] = documentsOf(['a@b.de, c@d.de and +49 30 901820']);
    const [kept] = await runStage(pii, { placeholder: '[{KIND}]' }, [[document!]]);
    expect(kept).toMatchObject({
      keep: { text: '[EMAIL], [EMAIL] and [PHONE]' },
      counts: { email: 2, phone: 1 },
    });
    const [rejected] = await runStage(pii, { maxFindings: 2 }, [[document!]]);
    expect(rejected).toEqual({ reject: 'too_much_pii', detail: '3', counts: { email: 2, phone: 1 } });
    expect(textsOf(await runStage(pii, { kinds: ['phone'] }, [[document!]]))).toEqual([
      'a@b.de, c@d.de and <PHONE>',
    ]);
  });

  it.each([
    '1',
    '1 ',
    '1.',
    'a@',
    'a.',
    '@a.',
    ':',
    'a:',
    '-----BEGIN PRIVATE KEY-----',
    'key=',
    'eyJaaaaaaaaaaa.',
    '+1(',
    ' ',
    'A-',
    '"=>',
  ])('takes a megabyte of %s without harm', (unit) => {
    const text = unit.repeat(1_000_000 / unit.length);
    const start = process.cpuUsage().user;
    scrub(`${text}!`, config);
    expect((process.cpuUsage().user - start) / 1e6).toBeLessThan(5);
  });
});
