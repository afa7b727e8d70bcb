// Health check of the image: ends with 0 if the admin port answers 200 on the path given, with 1 if not.

/** Milliseconds to wait for the answer: less than the check may take. */
const WITHIN = 4_000;

const [path = '/healthz'] = process.argv.slice(2);
const address = `http://127.0.0.1:${process.env.NOTIFICATION_ADMIN_PORT}${path}`;
const answer = await fetch(address, { signal: AbortSignal.timeout(WITHIN) }).catch(() => undefined);
process.exit(answer?.status === 200 ? 0 : 1);
