import { expect, test } from '@jest/globals';
import { PII_POLICY_DEFAULT, readPiiPolicy } from './policy.js';

test('one action holds for all, and an entity’s own goes before it', () => {
  expect(readPiiPolicy('block')).toMatchObject({ card: 'block', email: 'block' });
  expect(readPiiPolicy('mask, url:report')).toMatchObject({ card: 'mask', email: 'mask', url: 'report' });
  expect(readPiiPolicy('ssn:block')).toEqual({ ...PII_POLICY_DEFAULT, ssn: 'block' });
  expect(readPiiPolicy(PII_POLICY_DEFAULT)).toBe(PII_POLICY_DEFAULT);
});

test('anything else is no policy', () => {
  for (const given of ['', 'hide', 'name:mask', 'card:', 'card:mask:block', {}, null, 1]) expect(readPiiPolicy(given)).toBeUndefined();
});
