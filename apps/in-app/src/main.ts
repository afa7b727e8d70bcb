import { runChannelProcess } from '@carillon/channel';
import { inApp } from './in-app.js';

process.exit(await runChannelProcess(inApp));
