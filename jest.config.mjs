import { existsSync, readdirSync } from 'node:fs';

const root = import.meta.dirname ?? new URL('.', import.meta.url).pathname;

/** `@carillon/x` and `@carillon/x/testing` as their sources, so that tests need no build. */
function sourceMap() {
  const map = {};
  for (const folder of ['packages', 'apps']) {
    for (const name of readdirSync(`${root}/${folder}`)) {
      for (const [entry, file] of [
        ['', 'index'],
        ['/testing', 'testing'],
      ]) {
        const source = `${folder}/${name}/src/${file}.ts`;
        if (existsSync(`${root}/${source}`)) map[`^@carillon/${name}${entry}$`] = `<rootDir>/${source}`;
      }
    }
  }
  return map;
}

const common = {
  rootDir: root,
  testEnvironment: 'node',
  setupFilesAfterEnv: ['<rootDir>/scripts/jest-timeout.mjs'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['js', 'mjs', 'cjs', 'ts', 'json', 'node'],
  moduleNameMapper: { ...sourceMap(), '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: ['<rootDir>/(packages|apps)/[^/]+/dist/', '<rootDir>/\\.data/'],
  transform: {
    '\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' }, sourceMaps: 'inline' }],
  },
};

/** Milliseconds a test may take: Redis answers in well under a second, a slow shared machine does not. */
const TEST_TIMEOUT = 30_000;
/** Milliseconds an end-to-end test may take: it starts processes. */
const E2E_TIMEOUT = 120_000;
const soak = process.env.CARILLON_SOAK === '1';

export default {
  maxWorkers: 2,
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/{packages,apps}/*/src/**/*.test.ts', '<rootDir>/{test,scripts}/**/*.test.ts'],
      globals: { CARILLON_TEST_TIMEOUT: TEST_TIMEOUT },
    },
    {
      ...common,
      displayName: 'redis',
      testMatch: ['<rootDir>/{packages,apps}/*/test/**/*.redis.test.ts'],
      globals: { CARILLON_TEST_TIMEOUT: TEST_TIMEOUT },
    },
    {
      ...common,
      displayName: 'e2e',
      testMatch: ['<rootDir>/{packages,apps}/*/test/**/*.e2e.test.ts'],
      globals: { CARILLON_TEST_TIMEOUT: soak ? 30 * E2E_TIMEOUT : E2E_TIMEOUT },
    },
  ],
};
