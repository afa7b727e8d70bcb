// Imported before the main of one of Carillon's apps: lets the orchestrator ask what the process uses, and changes nothing else about it.
import { answerAsks } from '../role.js';

answerAsks();
// Whoever listens to the channel would keep the process alive.
process.channel?.unref();
