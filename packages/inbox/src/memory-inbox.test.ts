import { test } from '@jest/globals';
import { createMemoryInbox } from './memory-inbox.js';
import { inboxConformance, TEST_LIMITS } from './testing.js';

for (const { name, run } of inboxConformance(async ({ limits = TEST_LIMITS, onRead } = {}) => createMemoryInbox(limits, onRead)))
  test(name, run);
