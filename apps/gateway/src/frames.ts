import { CarillonError, type ClientFrame, clientFrameSchema, parse, type ServerFrame } from '@carillon/contracts';
import type { Head, InboxChange, InboxPage } from '@carillon/inbox';

type RequestId = string | number;

/** What a client's message says: a frame, or what is wrong with it. */
export type Received = {
  readonly isJson: boolean;
  /** The message's own `type` if the protocol knows it. */
  readonly type: ClientFrame['type'] | 'unknown';
  /** The request's id, whenever it could be read. */
  readonly requestId: RequestId | undefined;
} & ({ readonly frame: ClientFrame } | { readonly error: CarillonError });

const knownTypes = clientFrameSchema.options.map((option) => option.shape.type.value);
const REQUEST_ID_MAX_CHARACTERS = 128;

/** Reads a client's text. Never throws; the error's code is BAD_MESSAGE (not an object with a known `type`) or FIELD_INVALID. */
export function readFrame(text: string): Received {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { isJson: false, type: 'unknown', requestId: undefined, error: new CarillonError('BAD_MESSAGE') };
  }
  const object = (typeof value === 'object' && value !== null ? value : {}) as { type?: unknown; requestId?: unknown };
  const type: Received['type'] = knownTypes.find((known) => known === object.type) ?? 'unknown';
  const said = { isJson: true, type, requestId: readRequestId(object.requestId) };
  if (type === 'unknown') return { ...said, error: new CarillonError('BAD_MESSAGE') };
  try {
    return { ...said, frame: parse(clientFrameSchema, value) };
  } catch (error) {
    return { ...said, error: error as CarillonError };
  }
}

function readRequestId(value: unknown): RequestId | undefined {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= REQUEST_ID_MAX_CHARACTERS) ? value : undefined;
}

/** First byte of an unfragmented text frame (RFC 6455 section 5.2): FIN and opcode 1. */
const TEXT_FRAME = 0x81;
/** Values of its second byte, for a length that follows in two bytes, or in eight. */
const IN_TWO_BYTES = 126;
const IN_EIGHT_BYTES = 127;
/** Lengths from which they are used. */
const MIN_IN_EIGHT = 65_536;

/**
 * A frame as the bytes that go to the network: the head of an unmasked text frame (RFC 6455 section 5.2), then its JSON. Made once, it serves any
 * number of sockets, and those of a tick leave as one piece.
 */
export function encode(frame: ServerFrame, requestId?: RequestId): Buffer {
  const text = JSON.stringify(requestId === undefined ? frame : { ...frame, requestId });
  const length = Buffer.byteLength(text);
  const head = length < IN_TWO_BYTES ? 2 : length < MIN_IN_EIGHT ? 4 : 10;
  const bytes = Buffer.allocUnsafe(head + length);
  bytes[0] = TEXT_FRAME;
  bytes[1] = head === 2 ? length : head === 4 ? IN_TWO_BYTES : IN_EIGHT_BYTES;
  if (head === 4) bytes.writeUInt16BE(length, 2);
  else if (head === 10) bytes.writeBigUInt64BE(BigInt(length), 2);
  bytes.write(text, head);
  return bytes;
}

/** The JSON of a frame. */
export function payloadOf(frame: Buffer): Buffer {
  return frame.subarray(frame[1] === IN_EIGHT_BYTES ? 10 : frame[1] === IN_TWO_BYTES ? 4 : 2);
}

/** The frame that tells an error. */
export function errorFrame(error: CarillonError): ServerFrame {
  return { type: 'error', error: error.message, code: error.code };
}

/** The frame of a change. */
export function changeFrame(change: InboxChange): ServerFrame {
  const { offset, unreadCount } = change;
  switch (change.event) {
    case 'deleted':
      return { type: 'notification', event: 'deleted', data: { id: change.id }, offset, unreadCount };
    case 'allRead':
      return { type: 'allRead', data: { upTo: change.upTo }, offset, unreadCount };
    default:
      return { type: 'notification', event: change.event, data: change.notification, offset, unreadCount };
  }
}

/** The frame that tells a count. */
export function countFrame(head: Head): ServerFrame {
  return { type: 'unreadCount', data: { unreadCount: head.unreadCount }, offset: head.offset };
}

/** The frame of a page; `snapshot` when it stands for changes that cannot be had any more. */
export function pageFrame(page: InboxPage, snapshot: boolean): ServerFrame {
  const { data, epoch, offset, unreadCount, nextCursor } = page;
  return {
    type: 'notifications',
    data,
    epoch,
    offset,
    unreadCount,
    ...(nextCursor === undefined ? {} : { nextCursor }),
    ...(snapshot ? { snapshot } : {}),
  };
}

/** A change with its frames, made into bytes once for all sockets of its user. */
export class EncodedChange {
  readonly change: InboxChange;
  #frame: Buffer | undefined;
  #count: Buffer | undefined;

  constructor(change: InboxChange) {
    this.change = change;
  }

  /** The change itself. */
  get frame(): Buffer {
    this.#frame ??= encode(changeFrame(this.change));
    return this.#frame;
  }

  /** The count after it, for sockets that knew another. */
  get count(): Buffer {
    this.#count ??= encode(countFrame(this.change));
    return this.#count;
  }
}
