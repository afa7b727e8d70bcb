import { syncBuiltinESMExports } from 'node:module';
import tls from 'node:tls';

/** Where TLS connections to a host really go: a port of this machine whose certificate is trusted by `ca` (PEM). */
export interface Redirect {
  readonly port: number;
  readonly ca: string;
}

/** Redirects by the host that is connected to. */
export type RedirectTable = Readonly<Record<string, Redirect>>;

/** What holds now in this process; the latest first. */
const tables: RedirectTable[] = [];
let original: typeof tls.connect | undefined;

/**
 * Reaches a stand-in in place of a host that a library has built in: TLS connections of this process to `host:443` go to `127.0.0.1:port`,
 * with the host's own name in the handshake and its certificate checked. All else is left as it is. Answers how to undo it.
 */
export function redirectHosts(table: RedirectTable): () => void {
  tables.unshift(table);
  if (original === undefined) {
    original = tls.connect;
    replace(redirecting(original, tables) as typeof tls.connect);
  }
  return () => {
    const at = tables.indexOf(table);
    if (at >= 0) tables.splice(at, 1);
    if (tables.length > 0 || original === undefined) return;
    replace(original);
    original = undefined;
  };
}

function replace(connect: typeof tls.connect): void {
  tls.connect = connect;
  // So that `import { connect } from 'node:tls'` changes, too.
  syncBuiltinESMExports();
}

/** The same for a process to come: a URL for `node --import`, and for `imports` of `spawnProcess`. */
export function redirectPreload(table: RedirectTable): string {
  const text = `import { syncBuiltinESMExports } from 'node:module';
import tls from 'node:tls';
tls.connect = (${redirecting.toString()})(tls.connect, [${JSON.stringify(table)}]);
syncBuiltinESMExports();`;
  return `data:text/javascript,${encodeURIComponent(text)}`;
}

type Connect = (...given: unknown[]) => unknown;

/** A `tls.connect` that looks into the tables first. Self-contained: its text is what `redirectPreload` sends to another process. */
function redirecting(connect: unknown, lookUpIn: readonly RedirectTable[]): Connect {
  return (...given) => {
    const first = typeof given[0] === 'object' ? {} : { port: given[0], host: typeof given[1] === 'string' ? given[1] : 'localhost' };
    const options = Object.assign(
      first,
      given.find((value) => typeof value === 'object' && value !== null),
    ) as tls.ConnectionOptions;
    const host = options.host ?? '';
    const redirect = lookUpIn.find((table) => Object.hasOwn(table, host))?.[host];
    // A given socket or path leads elsewhere already.
    if (redirect === undefined || Number(options.port) !== 443 || options.socket || options.path) {
      return (connect as Connect)(...given);
    }
    const ca = [options.ca ?? [], redirect.ca].flat();
    const ours = { ...options, host: '127.0.0.1', port: redirect.port, servername: options.servername || host, ca };
    const listener = given.find((value) => typeof value === 'function');
    return (connect as Connect)(ours, ...(listener ? [listener] : []));
  };
}
