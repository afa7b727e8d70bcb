import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { CarillonError } from '@carillon/contracts';

/** Where records are kept outside of Redis. */
export interface Sink {
  /** Resolves when they are kept. What a failed call left there is gone before the next one writes. */
  write(texts: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Only for who runs Carillon: the trail tells of people. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** What is appended to the name of a chain: JSON, a record per line. */
export const SEGMENT = '.jsonl';

/** Opens the sink a setting names; undefined for `redis`, which needs none. @throws CONFIGURATION_INVALID */
export async function openSink(sink: string, writer: string): Promise<Sink | undefined> {
  if (sink === 'redis') return undefined;
  if (sink === 'stdout') return { write: writeOut, close: async () => {} };
  if (!sink.startsWith('file:')) throw invalid('must be file:<folder>, stdout or redis');
  const folder = sink.slice('file:'.length);
  try {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    const sink = fileSink(await open(join(folder, `${writer}${SEGMENT}`), 'ax', FILE_MODE));
    // The name must outlive a crash of the machine as well.
    const directory = await open(folder, 'r');
    await directory.sync().finally(() => directory.close());
    return sink;
  } catch (cause) {
    throw invalid('the folder cannot be written to', cause);
  }
}

function invalid(message: string, cause?: unknown): CarillonError {
  return new CarillonError('CONFIGURATION_INVALID', { message: `NOTIFICATION_AUDIT_SINK: ${message}`, cause });
}

/** A file that is only added to, one write and one fdatasync a time. */
function fileSink(file: FileHandle): Sink {
  let length = 0;
  let isClean = true;
  return {
    async write(texts) {
      const bytes = Buffer.from(`${texts.join('\n')}\n`);
      // A disk that was full may have taken a part.
      if (!isClean) await file.truncate(length);
      isClean = false;
      await file.appendFile(bytes);
      await file.datasync();
      isClean = true;
      length += bytes.length;
    },
    close: () => file.close(),
  };
}

/** For whoever collects the output of processes: a JSON object per line. */
function writeOut(texts: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(texts.map((text) => `{"audit":${text}}\n`).join(''), (error) => (error ? reject(error) : resolve()));
  });
}
