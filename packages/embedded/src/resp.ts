import { connect } from 'node:net';
import { CarillonError } from '@carillon/contracts';

/** Milliseconds a loopback server has to answer one command. */
const ANSWER_TIMEOUT = 5_000;

/**
 * Asks a Redis on 127.0.0.1 one command over a connection of its own (RESP2) and resolves with its answer as text.
 * For the few commands that starting a server needs; answers that are lists are not read.
 *
 * @throws CarillonError REDIS_UNAVAILABLE if it cannot be reached, does not answer within 5 s, or answers with an error.
 */
export function askRedis(at: { port: number; password: string }, ...command: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(new CarillonError('REDIS_UNAVAILABLE', { message: `Redis on port ${at.port}: ${cause}`, cause }));
    const socket = connect({ host: '127.0.0.1', port: at.port });
    let received = '';
    socket.setTimeout(ANSWER_TIMEOUT, () => socket.destroy(new Error('no answer in time')));
    socket.on('connect', () => socket.write(encode(['AUTH', at.password]) + encode(command)));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      const login = readReply(received, 0);
      const answer = login && readReply(received, login.end);
      const error = login?.error ?? answer?.error;
      if (error !== undefined) fail(error);
      else if (answer) resolve(answer.text);
      else return;
      socket.destroy();
    });
    socket.on('error', fail);
    socket.on('close', () => fail('connection closed'));
  });
}

const encode = (command: string[]) =>
  `*${command.length}\r\n${command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`;

interface Reply {
  text: string;
  end: number;
  error?: string;
}

/** The reply that begins at `start`, or undefined while part of it is missing (https://redis.io/docs/latest/develop/reference/protocol-spec/). */
function readReply(received: string, start: number): Reply | undefined {
  const lineEnd = received.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const line = received.slice(start + 1, lineEnd);
  const end = lineEnd + 2;
  if (received[start] === '-') return { text: '', end, error: line };
  if (received[start] !== '$' || line === '-1') return { text: line, end };
  const bulkEnd = end + Number(line);
  return received.length < bulkEnd + 2 ? undefined : { text: received.slice(end, bulkEnd), end: bulkEnd + 2 };
}
