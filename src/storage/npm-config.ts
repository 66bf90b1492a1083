/**
 * The user's npm settings that matter for fetching, as pacote takes them: registry, registries of scopes, tokens, cache, proxies.
 * Read as npm does: environment over the project's .npmrc over the user's. Limit: npm's global file is not read.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NpmOptions } from './download.ts';

const PLAIN_KEYS: Readonly<Record<string, string>> = {
  registry: 'registry',
  proxy: 'proxy',
  'https-proxy': 'httpsProxy',
  noproxy: 'noProxy',
  'strict-ssl': 'strictSSL',
  ca: 'ca',
};

export interface NpmConfigPlaces {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** holds the user's .npmrc, unless the environment names another */
  readonly homeDir: string;
  /** holds the project's .npmrc */
  readonly cwd: string;
}

/** What npm is told, for {@link NpmOptions}; {} where nothing is. */
export function readNpmConfig({ env, homeDir, cwd }: NpmConfigPlaces): NpmOptions {
  const userFile = env.npm_config_userconfig ?? join(homeDir, '.npmrc');
  const settings = { ...settingsOf(userFile, env), ...settingsOf(join(cwd, '.npmrc'), env) };
  for (const [name, value] of Object.entries(env)) {
    if (value && /^npm_config_/i.test(name)) settings[envKey(name)] = value;
  }
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(settings)) {
    if (/^@[^:]+:registry$/.test(key) || key.startsWith('//')) options[key] = value;
    else if (key === 'cache') options.cache = join(value, '_cacache');
    else if (PLAIN_KEYS[key]) options[PLAIN_KEYS[key]] = key === 'strict-ssl' ? value !== 'false' : value;
  }
  return options;
}

function envKey(name: string): string {
  const key = name.slice('npm_config_'.length);
  return /[@/]/.test(key) ? key : key.toLowerCase().replaceAll('_', '-');
}

function settingsOf(path: string, env: NpmConfigPlaces['env']): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return {};
  }
  const settings: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const [, key, value] = /^\s*([^=;#\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (!key) continue;
    const plain = value!.replace(/^(["'])(.*)\1$/, '$2');
    settings[key] = plain.replace(/\$\{([^}]+)\}/g, (whole, name: string) => env[name] ?? whole);
  }
  return settings;
}
