import { runRoles } from './run.js';

process.exit(await runRoles({ api: false }, (line) => process.stdout.write(`${line}\n`)));
