/** Finds personal data in text and masks it. Owner of libphonenumber-js and validator. */
export { createDetector, mask } from './built-in.js';
export { type BuiltInDetector, type Entity, entities, type Finding, type PiiDetector } from './detector.js';
export { PII_POLICY_DEFAULT, type PiiAction, type PiiPolicy, readPiiPolicy } from './policy.js';
