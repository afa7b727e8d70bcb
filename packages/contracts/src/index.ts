/**
 * Every shape that crosses a process.
 *
 * Glossary. One word per thing:
 * - *notification*: what a user is told, once, whatever the number of channels.
 * - *recipient*: the user told. *address*: where a channel reaches the recipient (a mail address, a device; for in-app, the user).
 * - *channel*: a way to a recipient. *provider*: who carries a channel's messages (SendGrid, FCM); the in-app channel has none.
 * - *template*: what to say, versioned by content. *content*: a template rendered for one channel.
 * - *delivery*: one notification on one channel to one address. *attempt*: one try at it. *receipt*: a provider's later word on it.
 * - *claim*: what a worker writes into a delivery's record before it calls a provider. *reason*: why a delivery was not sent.
 * - *preference*: what a user wants to hear of and where. *suppression*: an address nothing may be sent to, whatever anybody wants.
 * - *job*: what a queue holds: 1..K *items*, each one notification at one stage.
 * - *inbox*: one user's in-app notifications. *log*: every change of an inbox in order; *offset*: a position in it; *epoch*: its identity.
 * - *connection*: one client's socket at a gateway.
 */
export * from './api-keys.js';
export * from './channels/definition.js';
export * from './channels/index.js';
export * from './classes.js';
export * from './close-codes.js';
export * from './errors.js';
export * from './frames.js';
export * from './job.js';
export * from './notification.js';
export * from './parse.js';
export * from './reasons.js';
export * from './source.js';
export * from './template.js';
export * from './user.js';
