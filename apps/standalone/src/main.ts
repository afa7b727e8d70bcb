import { runRoles } from './run.js';

process.exit(await runRoles({ api: true }, (line) => process.stdout.write(`${line}\n`)));
