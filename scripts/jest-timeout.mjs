// Jest takes a timeout for all projects at once only; this gives each its own.
import { jest } from '@jest/globals';

jest.setTimeout(globalThis.CARILLON_TEST_TIMEOUT);
