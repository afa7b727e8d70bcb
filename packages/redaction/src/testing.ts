/** Sentences about health with what is to be found in them, for tests of detectors. */
export { type Sentence, sentences } from './sentences.js';
