/** Carillon as a library: the whole service in your process. */
export {
  CarillonError,
  type ErrorCode,
  fieldsOf,
  type Notification,
  NotificationChannel,
  NotificationPriority,
  type NotificationRequest,
  type NotificationStatus,
  phi,
  pii,
  publicly,
  type Template,
} from '@carillon/contracts';
export type { Entity, Finding, PiiDetector } from '@carillon/redaction';
export type { KeyProvider } from '@carillon/vault';
export { NotificationService, type NotificationServiceOptions } from './notification-service.js';
export { type LentServer, WebSocketServer } from './web-socket-server.js';
