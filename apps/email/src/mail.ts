import type { Message } from '@carillon/channel';
import { CarillonError, readSender, type Sender } from '@carillon/contracts';

/** A mail as every provider is given it. */
export interface Mail {
  readonly from: Sender;
  readonly replyTo?: Sender;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
  /** Headers beyond those that follow from the above. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What would end a header, or hide from whoever reads it: C0, DEL, C1, the Unicode line ends. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
/** One address and nothing around it: no name, no list, no quoted part. */
const ADDRESS = /^[^\s@<>,;:"\\()[\]]+@[^\s@<>,;:"\\()[\]]+$/;

/**
 * The mail of a message. Templates are checked before; what could still turn a value into a header of its own stops here.
 *
 * @throws PROVIDER_REFUSED with the field at fault
 */
export function mailOf({ item: { content, options }, to, unsubscribeUrl }: Message, defaultFrom: string): Mail {
  const replyTo = options?.replyTo;
  return {
    from: sender(options?.from ?? defaultFrom, 'from'),
    ...(replyTo !== undefined && { replyTo: sender(replyTo, 'replyTo') }),
    to: address(to.value, 'to'),
    subject: singleLine(content.subject ?? '', 'subject'),
    text: content.text ?? '',
    ...(content.html && { html: content.html }),
    // RFC 8058: one POST to the address unsubscribes, and mail programs show a button for it.
    headers:
      unsubscribeUrl === undefined
        ? {}
        : {
            'List-Unsubscribe': `<${singleLine(unsubscribeUrl, 'unsubscribeUrl')}>`,
            'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
          },
  };
}

function sender(value: string, field: string): Sender {
  const read = readSender(singleLine(value, field));
  if (!read) throw new CarillonError('PROVIDER_REFUSED', { field, message: `${field} is no mail address.` });
  return { name: read.name, address: address(read.address, field) };
}

function address(value: string, field: string): string {
  if (!ADDRESS.test(singleLine(value, field)))
    throw new CarillonError('PROVIDER_REFUSED', { field, message: `${field} is no mail address.` });
  return value;
}

function singleLine(value: string, field: string): string {
  if (CONTROLS.test(value))
    throw new CarillonError('PROVIDER_REFUSED', { field, message: `${field} has a line break or control character.` });
  return value;
}
