/** What to say: register, check, version, render. Owner of mustache. */
export type { PhiPolicy } from './firewall.js';
export { createTemplates } from './redis-templates.js';
export type * from './templates.js';
