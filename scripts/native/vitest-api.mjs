/**
 * What the suites of kernels import from 'vitest', without vitest: its own runner and matchers, but no Vite, which a Node
 * of another architecture or under a sanitizer has no use for. Staged test files find it under the name `vitest`.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const ofVitest = createRequire(createRequire(import.meta.url).resolve('vitest/package.json'));
const load = (name) => import(pathToFileURL(ofVitest.resolve(name)).href);
const { afterAll, beforeAll, describe, it, startTests } = await load('@vitest/runner');
const { GLOBAL_EXPECT, JestAsymmetricMatchers, JestChaiExpect, JestExtend, setState } =
  await load('@vitest/expect');
const chai = await import(
  pathToFileURL(createRequire(ofVitest.resolve('@vitest/expect')).resolve('chai')).href
);

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);
const expect = Object.assign((value, message) => chai.expect(value, message), chai.expect);
globalThis[GLOBAL_EXPECT] = expect;
setState({ assertionCalls: 0, isExpectingAssertions: false, expectedAssertionsNumber: null }, expect);

export { afterAll, beforeAll, describe, expect, it, startTests };
