import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ParquetFile } from './parquet.ts';

let folder: string;
const NAME = 'rows [1]*{x}?.parquet';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dabarex-parquet's-"));
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const query = `SELECT i AS id, CASE WHEN i % 7 = 0 THEN NULL ELSE 'row ' || i END AS "a ""text""" FROM range(5000) t(i)`;
  const plain = join(folder, 'plain.parquet');
  await connection.run(`COPY (${query}) TO '${plain.replaceAll("'", "''")}' (FORMAT parquet)`);
  connection.closeSync();
  renameSync(plain, join(folder, NAME));
  // What the name would match, were it a pattern.
  writeFileSync(join(folder, 'rows 1{x}y.parquet'), 'no Parquet');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('reads rows and texts in their order, whatever the file is called, and leaves nothing behind', async () => {
  const workDir = mkdtempSync(join(folder, 'work-'));
  const file = await ParquetFile.open(join(folder, NAME), { memoryBytes: 1e8, workDir });
  expect(await file.columns()).toEqual([
    { name: 'id', type: 'BIGINT' },
    { name: 'a "text"', type: 'VARCHAR' },
  ]);
  const texts: (string | null)[] = [];
  for await (const some of file.texts('a "text"')) texts.push(...some);
  expect(texts).toEqual(Array.from({ length: 5000 }, (_, i) => (i % 7 === 0 ? null : `row ${i}`)));
  let next = 0n;
  for await (const rows of file.rows()) for (const { id } of rows) expect(BigInt(id as number)).toBe(next++);
  expect(next).toBe(5000n);
  await expect(file.texts('absent').next()).rejects.toMatchObject({ kind: 'damaged' });
  file.close();
  expect(readdirSync(workDir)).toEqual([]);
});
