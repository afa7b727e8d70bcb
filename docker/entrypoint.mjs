// Entry of the image: the first argument picks the role, which then runs in this process, so that it hears the signals of the container.

const ROLES = {
  api: './dist/api.js',
  gateway: './node_modules/@carillon/gateway/dist/main.js',
  renderer: './node_modules/@carillon/renderer/dist/main.js',
  'in-app': './node_modules/@carillon/in-app/dist/main.js',
  email: './node_modules/@carillon/email/dist/main.js',
  push: './node_modules/@carillon/push/dist/main.js',
  sms: './node_modules/@carillon/sms/dist/main.js',
  all: './dist/main.js',
  worker: './dist/worker.js',
  audit: './dist/audit.js',
};
/** What `all` and `worker` make for themselves on a laptop. The image has no Redis, and keys made in a container would be gone with it. */
const GIVEN = ['REDIS_URL', 'NOTIFICATION_API_KEYS', 'NOTIFICATION_JWT_SECRET', 'NOTIFICATION_ENCRYPTION_KEYS'];

const USAGE = `usage: docker run … carillon <role>

api        the HTTP interface and the page
gateway    WebSockets
renderer   what is said, and where to
in-app     the inbox
email      SendGrid and SMTP
push       FCM and Web Push
sms        Twilio
all        all of these in one process
worker     all of these but the API
audit      verify or export of the audit trail

Settings are environment variables; REDIS_URL is the first of them. See docs/configuration.md.
`;

const [, , role = '', ...rest] = process.argv;
if (!Object.hasOwn(ROLES, role)) end(2, `${role === '' ? 'no role' : `unknown role: ${role}`}\n${USAGE}`);
const missing = role === 'all' || role === 'worker' ? GIVEN.filter((name) => !process.env[name] && !process.env[`${name}_FILE`]) : [];
if (missing.length > 0) {
  end(1, `${role} cannot start; these settings are wrong or missing:\n${missing.map((name) => `  ${name}: is required\n`).join('')}`);
}
// The kernel delivers no signal to process 1 that it does not handle, and the role handles none while it is being loaded.
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.listenerCount(signal) === 1 && process.exit(0));
process.argv.splice(2, 1 + rest.length, ...rest);
await import(ROLES[role]);

function end(code, text) {
  process.stderr.write(text);
  process.exit(code);
}
