/** How clients and server of a side talk. */
export interface Speech {
  readonly path: string;
  /** What a client says once connected; null where the server speaks first. */
  hello(token: string): string | null;
  /** What one frame of the server means, and what to answer to it. */
  hear(text: string, token: string): { readonly is?: 'welcome' | 'refusal'; readonly answer?: string };
  /** Whether a frame brings a message. Asked for each of hundreds of thousands, so it looks at single bytes. */
  isMessage(bytes: Buffer, start: number, end: number): boolean;
}

const byte = (character: string) => character.charCodeAt(0);
const QUOTE = byte('"');

/** `{"type":"notification"`, which `notifications` and all other types differ from at this place. */
const TYPE = '{"type":"';
const NOTIFICATION = 'notification';

/** Our protocol (JSON frames, the first of which authenticates), spoken by the plain yardstick too. */
export const frames: Speech = {
  path: '/',
  hello: (token) => JSON.stringify({ type: 'authenticate', token }),
  hear: (text) => {
    if (text.startsWith('{"type":"authenticated"')) return { is: 'welcome' };
    return text.startsWith('{"type":"error"') ? { is: 'refusal' } : {};
  },
  isMessage: (bytes, start, end) => {
    const at = start + TYPE.length;
    return end - at > NOTIFICATION.length && bytes[at] === byte('n') && bytes[at + NOTIFICATION.length] === QUOTE;
  },
};

/** The packets of engine.io 4 (open 0, ping 2, pong 3, message 4) and socket.io 5 (connect 0, event 2, error 4) that a client needs. */
export const socketIo: Speech = {
  path: '/socket.io/?EIO=4&transport=websocket',
  hello: () => null,
  hear: (text, token) => {
    if (text.startsWith('0')) return { answer: `40${JSON.stringify({ token })}` };
    if (text === '2') return { answer: '3' };
    if (text.startsWith('44')) return { is: 'refusal' };
    return text.startsWith('40') ? { is: 'welcome' } : {};
  },
  isMessage: (bytes, start, end) => end - start > 2 && bytes[start] === byte('4') && bytes[start + 1] === byte('2'),
};
