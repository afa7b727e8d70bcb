import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { DCLinter } from 'dclint';
import {
  dockerFile,
  environmentOfImage,
  interpolate,
  makeSecrets,
  manifest,
  readCompose,
  readDockerfile,
  readExample,
  repository,
  type Service,
  valuesOf,
  variablesIn,
} from './docker-files.js';

const folder = mkdtempSync(join(tmpdir(), 'carillon-compose-'));
afterAll(() => rmSync(folder, { recursive: true }));

const text = readFileSync(dockerFile('compose.yaml'), 'utf8');
const compose = readCompose();
const [build = [], image = []] = readDockerfile();
const ROLES = ['api', 'gateway', 'renderer', 'in-app', 'email', 'push', 'sms'];
const isSecret = (name: string) => /PASSWORD|SECRET|ENCRYPTION_KEYS|API_KEYS?$|PRIVATE_KEY|AUTH_TOKEN|SERVICE_ACCOUNT|SMTP_URL/.test(name);

/** What the published schema of the Compose Specification, as dclint ships it, has against a file. */
function faultsOf(content: string): string[] {
  const path = join(folder, 'compose.yaml');
  writeFileSync(path, content);
  return DCLinter.validateFile(path).messages.map(({ message }: { message: string }) => message);
}

test('compose.yaml keeps the schema of the Compose Specification; what does not is found', () => {
  expect(faultsOf(text)).toEqual([]);
  for (const [from, to] of [
    ['stop_grace_period:', 'grace:'],
    ['condition: service_healthy', 'condition: healthy'],
    ['internal: true', 'internal: [true]'],
    ['read_only: true', 'read_only: {}'],
  ] as const) {
    expect(text).toContain(from);
    expect([from, faultsOf(text.replace(from, to))]).toEqual([from, [expect.stringContaining('ComposeValidationError')]]);
  }
});

test('every role is a service of its own, the gateway twice; those with a provider wait for their profile', () => {
  const services = Object.values(compose.services);
  const ours = services.filter(({ image }) => String(image).startsWith('carillon:'));
  expect(ours.flatMap(({ command }) => command).toSorted()).toEqual([...ROLES, 'gateway'].toSorted());
  for (const service of ours) {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], stop_grace_period: '30s', restart: 'unless-stopped' });
    expect(service.healthcheck.test).toEqual(['CMD', 'node', 'health.mjs', '/readyz']);
    const [role] = service.command;
    expect([role, service.profiles]).toEqual([role, ['email', 'push', 'sms'].includes(role) ? [role] : undefined]);
  }
  expect(services.flatMap(({ ports = [] }: Service) => ports)).toEqual([compose.services.proxy?.ports[0]]);
});

test('both Redis keep what they are given, behind a password, on a network that leads nowhere', () => {
  expect(compose.networks.data).toEqual({ internal: true });
  const stores = Object.entries(compose.services).filter(([, { image }]) => String(image).startsWith('redis:'));
  expect(stores.map(([name]) => name)).toEqual(['redis', 'redis-keys']);
  for (const [name, { command, networks, volumes }] of stores) {
    expect(networks).toEqual(['data']);
    expect(volumes).toEqual([`${name}:/data`]);
    const line = command.join(' ');
    for (const setting of ['--appendonly yes', '--maxmemory-policy noeviction', '--requirepass ${REDIS_']) expect(line).toContain(setting);
  }
  const passwords = stores.map(([, { command }]) => command.at(-1));
  expect(new Set(passwords).size).toBe(2);
});

test('no image is the latest, and ours is the version of the repository', () => {
  const images = Object.values(compose.services).map(({ image }) => interpolate(String(image), {}));
  for (const name of images) expect(name).toMatch(/^[a-z]+:\d+\.\d+/);
  expect(images).toContain(`carillon:${manifest.version}`);
});

test('no secret has a default; .env.example says how each that is required is made, and holds none', () => {
  const asked = variablesIn(text);
  expect([...asked].filter(([name, value]) => isSecret(name) && value !== undefined && value !== '')).toEqual([]);
  const required = [...asked].filter(([, value]) => value === undefined).map(([name]) => name);
  const example = readExample();
  const listed = example.filter(({ isComment }) => !isComment).map(({ name }) => name);
  expect(listed.toSorted()).toEqual([...required, 'COMPOSE_PROFILES'].toSorted());
  expect(example.filter(({ name }) => name !== 'COMPOSE_PROFILES' && !asked.has(name))).toEqual([]);
  expect(example.filter(({ name, value }) => isSecret(name) && value !== '')).toEqual([]);
  const secrets = makeSecrets();
  expect(Object.keys(secrets).toSorted()).toEqual(required.filter(isSecret).toSorted());
  for (const secret of Object.values(secrets)) expect(secret).toMatch(/^([a-z0-9]+:)?[\w+/-]{43}=?$/);
  expect(new Set(Object.values(secrets)).size).toBe(Object.keys(secrets).length);
  for (const name of required) expect(() => interpolate(text, { ...secrets, [name]: '' })).toThrow();
});

test('every setting compose.yaml gives is one Carillon has, or Node', () => {
  const known = new Set([
    'NODE_OPTIONS',
    ...[...readFileSync(join(repository, 'docs/configuration.md'), 'utf8').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name),
  ]);
  expect(known.size).toBeGreaterThan(40);
  for (const { image, environment } of Object.values(compose.services)) {
    if (!String(image).startsWith('carillon:')) continue;
    expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([]);
  }
});

test('the proxy is told all that its configuration asks for', () => {
  const configuration = readFileSync(dockerFile('haproxy.cfg'), 'utf8');
  const asked = new Set([...configuration.matchAll(/\$\{(\w+)\}|defined\((\w+)\)/g)].map(([, plain, tested]) => plain ?? tested));
  const preset = [...configuration.matchAll(/presetenv (\w+)/g)].map(([, name]) => name);
  const given = Object.keys(compose.services.proxy?.environment);
  expect([...asked].filter((name) => name !== undefined && !preset.includes(name) && !given.includes(name))).toEqual([]);
  expect(given.filter((name) => !asked.has(name))).toEqual([]);
});

test('the Dockerfile: a pinned base, another user than root, a health check, no secret, nothing fetched past the package manager', () => {
  for (const from of [...valuesOf(build, 'FROM'), ...valuesOf(image, 'FROM')]) {
    expect(from).toMatch(new RegExp(`^node:${manifest.devDependencies.node.replaceAll('.', '\\.')}-\\w+-slim( AS build)?$`));
  }
  const names = image.map(({ name }) => name);
  const once = ['USER', 'ENTRYPOINT', 'HEALTHCHECK', 'STOPSIGNAL', 'EXPOSE'];
  for (const name of once) expect([name, names.filter((other) => other === name)]).toEqual([name, [name]]);
  expect(names.indexOf('USER')).toBeLessThan(names.indexOf('ENTRYPOINT'));
  expect(names.lastIndexOf('RUN')).toBeLessThan(names.indexOf('USER'));
  expect(valuesOf(image, 'USER')[0]).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(valuesOf(image, 'STOPSIGNAL')).toEqual(['SIGTERM']);
  // Without a shell: as lists.
  expect(JSON.parse(valuesOf(image, 'ENTRYPOINT')[0] ?? '')[0]).toBe('node');
  expect(JSON.parse((valuesOf(image, 'HEALTHCHECK')[0] ?? '').replace(/^CMD /, ''))[0]).toBe('node');
  expect([...build, ...image].filter(({ name, value }) => name === 'ADD' || /latest|curl|wget|https?:/.test(value))).toEqual([]);
  expect(Object.keys(environmentOfImage(image))).toEqual(['NODE_ENV', 'NOTIFICATION_ADMIN_PORT']);
  expect([...valuesOf(build, 'ARG'), ...valuesOf(image, 'ARG'), ...valuesOf(build, 'ENV')]).toEqual([]);
  expect(valuesOf(image, 'LABEL')[0]).toContain(`org.opencontainers.image.version="${manifest.version}"`);
});
