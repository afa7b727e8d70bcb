import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join, matchesGlob, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** The checkout. */
export const repository = fileURLToPath(new URL('../../..', import.meta.url));
/** A file of docker/. */
export const dockerFile = (name: string) => join(repository, 'docker', name);
const read = (path: string) => readFileSync(path, 'utf8');
/** The package.json of the checkout. */
export const manifest = JSON.parse(read(join(repository, 'package.json'))) as {
  version: string;
  devDependencies: { node: string };
};

/** One instruction of a Dockerfile, its continued lines in one. */
export interface Instruction {
  readonly name: string;
  /** Such as `--from=build`. */
  readonly flags: readonly string[];
  readonly value: string;
}

/** The stages of the Dockerfile, each beginning with its FROM. */
export function readDockerfile(): Instruction[][] {
  const lines = read(dockerFile('Dockerfile'))
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages: Instruction[][] = [];
  for (const line of lines) {
    const [, name = '', flags = '', value = ''] = /^(\w+)\s+((?:--\S+\s+)*)(.*)$/.exec(line) ?? [];
    if (name === '') throw new Error(`no instruction: ${line}`);
    if (name === 'FROM') stages.push([]);
    stages.at(-1)?.push({ name, flags: flags.split(/\s+/).filter(Boolean), value });
  }
  return stages;
}

/** What the instructions of one name say, in order. */
export const valuesOf = (stage: readonly Instruction[] = [], name = '') =>
  stage.flatMap((instruction) => (instruction.name === name ? [instruction.value] : []));

/** The variables an image sets. */
export function environmentOfImage(stage: readonly Instruction[]): Record<string, string> {
  const pairs = valuesOf(stage, 'ENV').flatMap((value) => value.split(/\s+/).map((pair) => pair.split('=') as [string, string]));
  return Object.fromEntries(pairs);
}

/** Copies into a folder what a stage copies from the checkout, less what .dockerignore names. @throws when something is not there */
export function copyContext(stage: readonly Instruction[], to: string): void {
  const ignored = read(join(repository, '.dockerignore'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const filter = (source: string) => !ignored.some((pattern) => matchesGlob(relative(repository, source), pattern));
  for (const { name, flags, value } of stage) {
    if (name !== 'COPY' || flags.some((flag) => flag.startsWith('--from'))) continue;
    const sources = value.split(/\s+/);
    const target = join(to, sources.pop() ?? '');
    for (const source of sources) {
      const into = target.endsWith('/') ? join(target, basename(source)) : target;
      mkdirSync(to, { recursive: true });
      cpSync(join(repository, source), into, { recursive: true, filter });
    }
  }
}

/** A service as compose.yaml has it; tests look into it loosely. */
// biome-ignore lint/suspicious/noExplicitAny: a service has dozens of optional fields of every shape
export type Service = Record<string, any>;

/** compose.yaml, its anchors resolved and its variables not yet. */
export const readCompose = () =>
  parse(read(dockerFile('compose.yaml')), { merge: true }) as {
    services: Record<string, Service>;
    networks: Record<string, { internal?: boolean }>;
    volumes: Record<string, unknown>;
  };

const VARIABLE = /\$\{(\w+)(?::([-?])([^}]*))?\}/g;

/** The variables a text asks for, each with its default, or undefined if it is required. */
export function variablesIn(text: string): Map<string, string | undefined> {
  return new Map([...text.matchAll(VARIABLE)].map(([, name = '', kind, rest]) => [name, kind === '-' ? rest : undefined]));
}

/** Puts values in the place of variables, as compose does. @throws for one that is required and not given, or given empty */
export function interpolate(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(VARIABLE, (_, name: string, kind: string | undefined, rest: string) => {
    const value = values[name] || (kind === '-' ? rest : undefined);
    if (value === undefined) throw new Error(`${name} ${rest}`);
    return value;
  });
}

/** The environment a service of compose.yaml gets. */
export function environmentOfService({ environment }: Service, values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment as Record<string, string>).map(([name, text]) => [name, interpolate(String(text), values)]),
  );
}

/** A variable of .env.example. */
export interface ExampleVariable {
  readonly name: string;
  readonly value: string;
  /** What prints a value for it. */
  readonly command: string | undefined;
  /** Whether it is only mentioned, in a comment. */
  readonly isComment: boolean;
}

/** The variables .env.example has, in order. */
export function readExample(): ExampleVariable[] {
  const variables: ExampleVariable[] = [];
  let command: string | undefined;
  for (const line of read(dockerFile('.env.example')).split('\n')) {
    const [, mark, name, value = ''] = /^(# )?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) variables.push({ name, value, command, isComment: mark !== undefined });
    command = /^# {3}\$ (.*)$/.exec(line)?.[1];
  }
  return variables;
}

/** Secrets as the commands of .env.example make them. */
export function makeSecrets(): Record<string, string> {
  const made = readExample().flatMap(({ name, command }) => {
    if (command === undefined) return [];
    return [[name, execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' }).trim()]];
  });
  return Object.fromEntries(made);
}
