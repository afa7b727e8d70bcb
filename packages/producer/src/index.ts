/** What a customer's backend imports: queueNotification. */
export { CarillonError, type NotificationRequest, type Template } from '@carillon/contracts';
export { type ConnectedProducer, type ConnectOptions, connectProducer } from './connect.js';
export type * from './producer.js';
export { createProducer, type ProducerParts } from './redis-producer.js';
