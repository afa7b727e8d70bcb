/** One mail to one recipient, as SendGrid took it. */
export interface SendGridMail {
  /** The `X-Message-Id` of the answer. */
  readonly id: string;
  readonly to: string;
  readonly from: string;
  readonly replyTo?: string;
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly customArgs: Readonly<Record<string, string>>;
  /** ms since the epoch. */
  readonly at: number;
  /** The request's JSON. */
  readonly raw: Json;
}

/** An entry of `errors` in SendGrid's answer. */
export interface SendGridFault {
  readonly message: string;
  readonly field: string | null;
  readonly help: string | null;
}

type Json = Readonly<Record<string, unknown>>;
type Say = (message: string, field: string | null, anchor?: string) => void;

/** Recipients, and personalizations, of one request. */
const MAX_RECIPIENTS = 1000;
/** Bytes of all custom args, and of all headers. */
const MAX_ARGS = 10_000;
/** Per request. */
const MAX_CATEGORIES = 10;
/** What a request may say. */
const PROPERTIES = [
  ...['personalizations', 'from', 'reply_to', 'reply_to_list', 'subject', 'content', 'attachments', 'template_id', 'sections', 'headers'],
  ...['categories', 'custom_args', 'send_at', 'batch_id', 'asm', 'ip_pool_name', 'mail_settings', 'tracking_settings'],
];
/** Headers that SendGrid writes itself. */
const RESERVED = /^(x-sg-id|x-sg-eid|received|dkim-signature|content-type|content-transfer-encoding|to|from|subject|reply-to|cc|bcc)$/i;
const ADDRESS = /^[^\s@<>()[\],;:\\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);
const texts = (value: unknown): Record<string, string> => (isObject(value) ? (value as Record<string, string>) : {});
const hasControls = (value: string) => /[\r\n\0]/.test(value);

/** Reads a request as SendGrid does: what it would send, or what it would complain of. */
export function readMailSend(body: Buffer): { mails: Omit<SendGridMail, 'id' | 'at'>[]; faults: SendGridFault[] } {
  const faults: SendGridFault[] = [];
  const say: Say = (message, field, anchor) => {
    const help = anchor ? `http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message.${anchor}` : null;
    faults.push({ message, field, help });
  };
  let raw: unknown;
  try {
    raw = JSON.parse(body.toString());
  } catch {
    raw = undefined;
  }
  if (!isObject(raw)) say('Bad Request', null);
  else checkMail(raw, say);
  return { faults, mails: faults.length === 0 ? mailsOf(raw as Json) : [] };
}

function checkMail(raw: Json, say: Say): void {
  if (!isObject(raw.from)) say('The from object must be provided for every email send.', 'from.email', 'from');
  else checkAddress(raw.from, 'from', say);
  if (raw.reply_to !== undefined) checkAddress(raw.reply_to, 'reply_to', say);
  checkPersonalizations(raw, say);
  checkContent(raw, say);
  checkHeaders(raw.headers, 'headers', say);
  checkArgs(raw.custom_args, 'custom_args', say);
  for (const name of Object.keys(raw)) if (!PROPERTIES.includes(name)) say('Additional property is not allowed.', name);
  if (raw.categories !== undefined && (!Array.isArray(raw.categories) || raw.categories.length > MAX_CATEGORIES)) {
    say('You may have up to 10 categories.', 'categories', 'categories');
  }
}

function checkPersonalizations(raw: Json, say: Say): void {
  const all = objects(raw.personalizations);
  const field = 'personalizations';
  if (all.length === 0) say('The personalizations field is required and must have at least one personalization.', field, field);
  if (all.length > MAX_RECIPIENTS) say('You may include at most 1000 personalizations.', field, field);
  let count = 0;
  for (const [i, one] of all.entries()) {
    const path = `${field}.${i}`;
    const recipients = [...objects(one.to), ...objects(one.cc), ...objects(one.bcc)];
    count += recipients.length;
    if (objects(one.to).length === 0) say('The to array is required for all personalization objects.', `${path}.to`, `${field}.to`);
    for (const [k, recipient] of recipients.entries()) checkAddress(recipient, `${path}.to.${k}`, say);
    const addresses = recipients.map(({ email }) => String(email).toLowerCase());
    if (new Set(addresses).size < addresses.length) {
      say('Each email address in the personalization block should be unique between to, cc, and bcc.', path, `${field}.to`);
    }
    checkSubject(one.subject ?? raw.subject, one.subject === undefined ? 'subject' : `${path}.subject`, say);
    checkHeaders(one.headers, `${path}.headers`, say);
    checkArgs(one.custom_args, `${path}.custom_args`, say);
  }
  if (count > MAX_RECIPIENTS) say('You may not send to more than 1000 recipients.', field, field);
}

function checkAddress(given: unknown, field: string, say: Say): void {
  if (!isObject(given) || typeof given.email !== 'string' || !ADDRESS.test(given.email) || given.email.length > 320) {
    say('Does not contain a valid address.', `${field}.email`, field.split('.')[0]);
  } else if (given.name !== undefined && (typeof given.name !== 'string' || hasControls(given.name))) {
    say('The name must be a string without line breaks.', `${field}.name`, field.split('.')[0]);
  }
}

function checkSubject(subject: unknown, field: string, say: Say): void {
  if (typeof subject !== 'string' || subject === '') {
    say(
      'The subject is required. You can get around this requirement if you use a template with a subject defined or if every personalization has a subject defined.',
      field,
      'subject',
    );
  } else if (hasControls(subject)) say('The subject may not contain line breaks.', field, 'subject');
}

function checkContent(raw: Json, say: Say): void {
  const content = objects(raw.content);
  if (content.length === 0) say('Unless a valid template_id is provided, the content parameter is required.', 'content', 'content');
  for (const [i, { type, value }] of content.entries()) {
    if (typeof type !== 'string' || !type.includes('/')) say('The content type must be a MIME type.', `content.${i}.type`, 'content.type');
    if (typeof value !== 'string' || value === '') {
      say('The content value must be a string at least one character in length.', `content.${i}.value`, 'content.value');
    }
  }
  const order = content.map(({ type }) => ['text/plain', 'text/html'].indexOf(String(type))).filter((place) => place >= 0);
  if (order.some((place, i) => i > 0 && place <= (order[i - 1] as number))) {
    say('If present, text/plain and text/html may only be provided once, text/plain first.', 'content', 'content');
  }
}

function checkHeaders(headers: unknown, field: string, say: Say): void {
  if (headers === undefined) return;
  if (!isObject(headers)) say('The headers must be an object of strings.', field, 'headers');
  for (const [name, value] of Object.entries(texts(headers))) {
    if (RESERVED.test(name)) say('You may not overwrite any reserved header.', `${field}.${name}`, 'headers');
    else if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name) || typeof value !== 'string' || hasControls(value)) {
      say('Headers must be key value pairs of strings without line breaks.', `${field}.${name}`, 'headers');
    }
  }
  if (Buffer.byteLength(JSON.stringify(headers)) > MAX_ARGS) say('The headers must be at most 10000 bytes.', field, 'headers');
}

function checkArgs(args: unknown, field: string, say: Say): void {
  if (args === undefined) return;
  if (!isObject(args) || Object.values(args).some((value) => typeof value !== 'string')) {
    say('The custom_args values must be strings.', field, 'custom_args');
  }
  if (Buffer.byteLength(JSON.stringify(args)) > MAX_ARGS) {
    say('The overall size of custom_args must be at most 10000 bytes.', field, 'custom_args');
  }
}

/** One mail per recipient; what a personalization says goes before what the request says. */
function mailsOf(raw: Json): Omit<SendGridMail, 'id' | 'at'>[] {
  const content = new Map(objects(raw.content).map(({ type, value }) => [type, value as string]));
  const text = content.get('text/plain');
  const html = content.get('text/html');
  const replyTo = texts(raw.reply_to).email;
  return objects(raw.personalizations).flatMap((one) =>
    [...objects(one.to), ...objects(one.cc), ...objects(one.bcc)].map(({ email }) => ({
      to: email as string,
      from: texts(raw.from).email as string,
      ...(replyTo !== undefined && { replyTo }),
      subject: (one.subject ?? raw.subject) as string,
      ...(text !== undefined && { text }),
      ...(html !== undefined && { html }),
      headers: { ...texts(raw.headers), ...texts(one.headers) },
      customArgs: { ...texts(raw.custom_args), ...texts(one.custom_args) },
      raw,
    })),
  );
}
