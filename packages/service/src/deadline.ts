import { CarillonError } from '@carillon/contracts';

/**
 * What `work` gives, if it does so within `ms`. The work itself goes on.
 *
 * @throws INTERNAL when the time is over; whatever `work` throws.
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CarillonError('INTERNAL', { message: `not done within ${ms} ms` })), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
