import { lookup } from 'node:dns';
import { Agent } from 'node:https';
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Code of the error of a connection that was not made because it would have led inside. */
export const NOT_PUBLIC = 'ADDRESS_NOT_PUBLIC';
/** How long an unused connection is kept, ms: shorter than servers keep theirs, or a message would meet one that is just being closed. */
const KEEP_MS = 4_000;
/** Connections per push service: one carries a message at a time, and an answer takes about a tenth of a second. */
const MAX_SOCKETS = 64;

/** What is not the public internet (IANA's registries of special-purpose addresses). */
const inside = nets('ipv4', [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]);
/** Of IPv6, only global unicast is public, without documentation and what wraps IPv4 addresses. */
const global6 = nets('ipv6', ['2000::/3']);
const special6 = nets('ipv6', ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);

function nets(family: 'ipv4' | 'ipv6', blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [net, bits] = block.split('/') as [string, string];
    list.addSubnet(net, Number(bits), family);
  }
  return list;
}

/** Whether an address is one of the public internet. */
export function isPublic(address: string): boolean {
  if (isIPv6(address)) return global6.check(address, 'ipv6') && !special6.check(address, 'ipv6');
  return isIP(address) === 4 && !inside.check(address, 'ipv4');
}

/**
 * Connects to public addresses only, and keeps connections for the next message. Checked where the connection is made, on the address it is
 * made to: a name may lead anywhere, and elsewhere the next time.
 */
export class PublicOnlyAgent extends Agent {
  constructor() {
    super({ keepAlive: true, timeout: KEEP_MS, maxSockets: MAX_SOCKETS });
  }

  override createConnection(...[options, callback]: Parameters<Agent['createConnection']>): ReturnType<Agent['createConnection']> {
    const { host } = options as { host?: string };
    if (host !== undefined && isIP(host) && !isPublic(host)) {
      callback?.(notPublic(), undefined as never);
      return undefined;
    }
    return super.createConnection({ ...options, lookup: publicLookup } as typeof options, callback);
  }
}

const publicLookup: typeof lookup = ((host: string, options: object, callback: (...answer: unknown[]) => void) => {
  lookup(host, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error);
    const [first] = addresses;
    if (!first || !addresses.every(({ address }) => isPublic(address))) return callback(notPublic());
    if ((options as { all?: boolean }).all) return callback(null, addresses);
    callback(null, first.address, first.family);
  });
}) as typeof lookup;

const notPublic = () => Object.assign(new Error('The endpoint is not on the public internet.'), { code: NOT_PUBLIC });
