import { runChannelProcess } from '@carillon/channel';
import { email } from './email.js';

process.exit(await runChannelProcess(email));
