/** Durable jobs of 1..K notifications: group commit, retries, isolation of crashes, partitions. Owner of bullmq. */
export type { FailedFilter, FailedItem, FailedItems, FailedStage } from './failed.js';
export { type Committed, createGroupCommit } from './group-commit.js';
export { partitionOf } from './partitions.js';
export {
  createStageQueue,
  type Item,
  JOB_MAX_BYTES,
  jobIdOf,
  newJobId,
  type Packed,
  pack,
  queueName,
  type StageDefinition,
  type StageQueue,
  toJobs,
} from './stage.js';
export { channelStage, renderStage } from './stages.js';
export { openQueueViews, type QueueViews } from './views.js';
export type { Attempt, WorkerEvents } from './work.js';
export { runStage, type StageWorker, type StageWorkerOptions } from './worker.js';
