import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readNpmConfig } from './npm-config.ts';

it('reads environment over project over user, and nothing where there is nothing', () => {
  const root = mkdtempSync(join(tmpdir(), 'dabarex-npmrc-'));
  const [homeDir, cwd] = [join(root, 'home'), join(root, 'project')];
  mkdirSync(homeDir);
  mkdirSync(cwd);
  expect(readNpmConfig({ env: {}, homeDir, cwd })).toEqual({});
  const user = `; mine\nregistry = https://user.example/\n//user.example/:_authToken="\${SECRET}"\nfund=false\n`;
  writeFileSync(join(homeDir, '.npmrc'), `${user}cache=/c\nstrict-ssl=false\n`);
  writeFileSync(
    join(cwd, '.npmrc'),
    '@a:registry=https://scope.example/\nregistry=https://project.example/\n',
  );
  const env = { SECRET: 's3', npm_config_https_proxy: 'http://proxy.example' };
  const expected = {
    registry: 'https://project.example/',
    '//user.example/:_authToken': 's3',
    '@a:registry': 'https://scope.example/',
    cache: join('/c', '_cacache'),
    strictSSL: false,
    httpsProxy: 'http://proxy.example',
  };
  expect(readNpmConfig({ env, homeDir, cwd })).toEqual(expected);
  const registry = 'https://env.example/';
  expect(readNpmConfig({ env: { ...env, npm_config_registry: registry }, homeDir, cwd })).toEqual({
    ...expected,
    registry,
  });
  rmSync(root, { recursive: true });
});
