/**
 * The S3 probe (tests/s3) against servers that others wrote: moto's and Ceph's radosgw, both from Debian 13 in a folder of its own (`debootstrap`,
 * about 0.9 GB, some minutes the first time; root only). Opt-in: `node scripts/s3-servers.mjs FOLDER`; no test needs it. What each of the two lacks is listed
 * here, so a change in either is seen.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root as repository } from './setup.mjs';

const CREDENTIALS = { accessKeyId: 'probekey', secretAccessKey: 'probesecret' };
const PACKAGES = ['radosgw', 'python3-moto', 'python3-flask', 'python3-flask-cors'];
const LACKS = {
  moto: ['wrong secret'],
  // Of radosgw's back end without a cluster: ranges and joined parts have the right length and headers, and bytes from elsewhere in the object.
  radosgw: ['range', 'upload in parts', 'If-None-Match on writing (not needed)'],
};

const folder = process.argv[2] && resolve(process.argv[2]);
if (!folder) {
  console.error('usage: node scripts/s3-servers.mjs FOLDER   (about 0.9 GB; kept for the next time)');
  process.exit(2);
}
const system = join(folder, 'root');
const children = [];

function run(command, ...args) {
  console.error(`$ ${command} ${args.join(' ')}`);
  execFileSync(command, args, { stdio: ['ignore', 2, 2] });
}

function install() {
  if (!existsSync(join(system, 'usr'))) run('debootstrap', '--variant=minbase', 'trixie', system);
  const isThere = ['moto_server', 'radosgw'].every((name) => existsSync(join(system, 'usr/bin', name)));
  if (!isThere) run('chroot', system, 'apt-get', 'install', '-y', '--no-install-recommends', ...PACKAGES);
}

/** Starts a server in the folder's system and waits until it answers. */
async function serve(endpoint, ...command) {
  const child = spawn('chroot', [system, ...command], { stdio: ['ignore', 'ignore', 2] });
  children.push(child);
  for (let attempt = 0; attempt < 240; attempt++) {
    if (child.exitCode !== null) throw new Error(`${command[0]} ended with ${child.exitCode}`);
    const answer = await fetch(endpoint).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer) return;
    await sleep(250);
  }
  throw new Error(`${command[0]} does not answer at ${endpoint}`);
}

async function startMoto() {
  const endpoint = 'http://127.0.0.1:18001';
  await serve(endpoint, 'moto_server', '-H', '127.0.0.1', '-p', '18001');
  return { name: 'moto', endpoint, credentials: CREDENTIALS, lacks: LACKS.moto };
}

/** Without a cluster: objects in SQLite. */
async function startRadosgw() {
  const endpoint = 'http://127.0.0.1:18000';
  rmSync(join(system, 'srv/rgw'), { recursive: true, force: true });
  mkdirSync(join(system, 'srv/rgw'), { recursive: true });
  const lines = [
    '[client]',
    'rgw_backend_store = dbstore',
    'rgw_config_store = dbstore',
    'dbstore_config_uri = file:/srv/rgw/config.db',
    'dbstore_db_dir = /srv/rgw',
    'rgw_data = /srv/rgw',
    'run_dir = /srv/rgw',
    'log_file = /srv/rgw/log',
    'rgw_frontends = beast endpoint=127.0.0.1:18000',
  ];
  writeFileSync(join(system, 'srv/rgw/ceph.conf'), `${lines.join('\n')}\n`);
  const flags = ['-c', '/srv/rgw/ceph.conf', '--no-mon-config', '-n', 'client.rgw'];
  await serve(endpoint, 'radosgw', ...flags, '-f');
  const { accessKeyId, secretAccessKey } = CREDENTIALS;
  const keys = [`--access-key=${accessKeyId}`, `--secret=${secretAccessKey}`];
  run(
    'chroot',
    system,
    'radosgw-admin',
    ...flags,
    'user',
    'create',
    '--uid=probe',
    '--display-name=probe',
    ...keys,
  );
  return { name: 'radosgw', endpoint, credentials: CREDENTIALS, lacks: LACKS.radosgw };
}

try {
  install();
  const stores = [await startMoto(), await startRadosgw()];
  const vitest = join(repository, 'node_modules/vitest/vitest.mjs');
  const env = { ...process.env, DABAREX_S3_PROBE: JSON.stringify(stores) };
  const probe = spawn(process.execPath, [vitest, 'run', 'tests/s3/probe.test.ts'], {
    cwd: repository,
    env,
    stdio: 'inherit',
  });
  process.exitCode = await new Promise((done) => probe.on('exit', done));
} finally {
  for (const child of children) child.kill('SIGTERM');
}
