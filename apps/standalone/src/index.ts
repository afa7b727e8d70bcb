/** Carillon as a library: the whole service in your process. */
export {
  CarillonError,
  type ErrorCode,
  type Notification,
  NotificationChannel,
  NotificationPriority,
  type NotificationRequest,
  type NotificationStatus,
  type Template,
} from '@carillon/contracts';
export { NotificationService, type NotificationServiceOptions } from './notification-service.js';
export { type LentServer, WebSocketServer } from './web-socket-server.js';
