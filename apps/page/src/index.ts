/** The page at `/`, built for browsers. What runs in them is in `client`. */
import { fileURLToPath } from 'node:url';

/** The folder of the built page: `index.html`, and what it loads in `assets`. It is there once `vite build` has run. */
export const pageFolder: string = fileURLToPath(new URL('../dist/client', import.meta.url));
