/** What a customer's backend imports: queueNotification. */
export type * from './producer.js';
export { createProducer, type ProducerParts } from './redis-producer.js';
