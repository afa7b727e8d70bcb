import { type Setting, settings } from './settings.js';

/** Text of `docs/configuration.md`: every setting of the table, in its order. A test keeps the file equal to it. */
export function renderConfigurationTable(): string {
  const rows = Object.entries(settings).map(([option, setting]) => row(option, setting));
  return `# Configuration

Every process reads these environment variables once, at start, and reports all problems together. The library takes the same settings as
options. An empty variable counts as not set. A secret can also be read from a file: set \`NAME_FILE\` to its path instead of \`NAME\`.

This page is generated from \`packages/service/src/settings.ts\`.

| variable | option | default | secret | meaning |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

function row(option: string, setting: Setting<unknown, unknown>): string {
  const fallback = setting.defaultDoc ?? (setting.default === undefined ? '—' : `\`${setting.default}\``);
  const cells = [`\`${setting.env}\``, `\`${option}\``, fallback, setting.secret ? 'yes' : '', setting.doc];
  return `| ${cells.join(' | ')} |`;
}
