import { type Entity, entities } from './detector.js';

const ACTIONS = ['mask', 'block', 'report'] as const;
/** What is done about a finding: it is masked, the message is not sent, or it is counted and audited only. */
export type PiiAction = (typeof ACTIONS)[number];
/** What is done about each kind of finding. */
export type PiiPolicy = Readonly<Record<Entity, PiiAction>>;

/** A number of a card or a record has no business in a message; an address or a link may be what it is about. */
export const PII_POLICY_DEFAULT: PiiPolicy = {
  ...(Object.fromEntries(entities.map((entity) => [entity, 'mask'])) as Record<Entity, PiiAction>),
  email: 'report',
  phone: 'report',
  ip: 'report',
  url: 'report',
};

/** Reads `mask`, `block,url:report` and the like; undefined for anything else. What is not named stays as by default. */
export function readPiiPolicy(given: unknown): PiiPolicy | undefined {
  if (typeof given !== 'string') return isPolicy(given) ? given : undefined;
  let policy: PiiPolicy | undefined;
  for (const entry of given.split(',').map((part) => part.trim())) {
    const [action, name] = entry.includes(':') ? [entry.slice(entry.indexOf(':') + 1), entry.slice(0, entry.indexOf(':'))] : [entry];
    const known = ACTIONS.find((one) => one === action);
    if (!known || (name !== undefined && !entities.some((entity) => entity === name))) return undefined;
    if (name === undefined) policy = Object.fromEntries(entities.map((entity) => [entity, known])) as Record<Entity, PiiAction>;
    else policy = { ...(policy ?? PII_POLICY_DEFAULT), [name]: known };
  }
  return policy;
}

function isPolicy(given: unknown): given is PiiPolicy {
  return typeof given === 'object' && given !== null && entities.every((entity) => ACTIONS.includes((given as PiiPolicy)[entity]));
}
