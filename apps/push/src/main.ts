import { runChannelProcess } from '@carillon/channel';
import { push } from './push.js';

process.exit(await runChannelProcess(push));
