/** What to say: register, check, version, render. Owner of mustache. */
export { createTemplates } from './redis-templates.js';
export type * from './templates.js';
