/**
 * Why a socket was closed. The range tells a client what to do, as in Centrifugo's protocol:
 * 3000–3499 come back (with backoff), 3500–3999 stay away.
 */
export const closeCodes = {
  SHUTTING_DOWN: [3001, 'shutting down'],
  TOKEN_EXPIRED: [3005, 'token expired'],
  TOO_SLOW: [3008, 'too slow'],
  POSITION_LOST: [3010, 'position lost'],
  NO_PONG: [3012, 'no pong'],
  TOO_MANY_REQUESTS: [3013, 'too many requests'],
  TOKEN_REFUSED: [3500, 'token refused'],
  BAD_PROTOCOL: [3501, 'bad protocol'],
  CONNECTION_LIMIT: [3504, 'connection limit'],
  REVOKED: [3507, 'revoked'],
} as const;

/** The name of a reason to close. */
export type CloseReason = keyof typeof closeCodes;
