import { runChannelProcess } from '@carillon/channel';
import { sms } from './sms.js';

process.exit(await runChannelProcess(sms));
