import type { Environment } from './config.js';

/** The variables of this process. Nobody else reads `process.env`. */
export const environment: Environment = process.env;
