import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CarillonError } from '@carillon/contracts';

/** Where records are kept outside of Redis. */
export interface Sink {
  /** As heads name it: `stdout`, or `file:` and an id of the folder. */
  readonly name: string;
  /** Resolves when they are kept. What a failed call left there is gone before the next one writes. */
  write(texts: readonly string[]): Promise<void>;
  /** Leaves nothing where nothing was written. */
  close(): Promise<void>;
}

/** Only for who runs Carillon: the trail tells of people. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** The file with the id of a folder. */
const FOLDER_ID = '.folder';

/** What is appended to the name of a chain: JSON, a record per line. */
export const SEGMENT = '.jsonl';

/** Opens the sink a setting names; undefined for `redis`, which needs none. @throws CONFIGURATION_INVALID */
export async function openSink(sink: string, writer: string): Promise<Sink | undefined> {
  if (sink === 'redis') return undefined;
  if (sink === 'stdout') return { name: sink, write: writeOut, close: async () => {} };
  if (!sink.startsWith('file:')) throw invalid('must be file:<folder>, stdout or redis');
  const folder = sink.slice('file:'.length);
  try {
    await makeFolder(folder);
    const path = join(folder, `${writer}${SEGMENT}`);
    await markFolder(folder);
    const [name = ''] = await sinkOf(folder);
    const sink = fileSink(await open(path, 'ax', FILE_MODE), path, name);
    // The name must outlive a crash of the machine as well.
    const directory = await open(folder, 'r');
    await directory.sync().finally(() => directory.close());
    return sink;
  } catch (cause) {
    throw invalid('the folder cannot be written to', cause);
  }
}

/**
 * Makes a folder, and those it is in, only for its owner; one that is there is left as it is. By hand: Node's own `recursive` tries for ever where a
 * folder is there and nothing can be made in it, as in `/proc`. @throws what the file system says
 */
export async function makeFolder(folder: string): Promise<void> {
  const isThere = await stat(folder).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  if (dirname(folder) !== folder) await makeFolder(dirname(folder));
  await mkdir(folder, { mode: FOLDER_MODE }).catch(unlessIsThere);
}

/** Another process may have been faster. */
function unlessIsThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** Gives a folder an id of its own, if it has none: the same wherever it is mounted, and whatever the machine is called. */
async function markFolder(folder: string): Promise<void> {
  await writeFile(join(folder, FOLDER_ID), randomBytes(8).toString('hex'), { flag: 'wx', mode: FILE_MODE }).catch(unlessIsThere);
}

/** The name of the sink whose folder this is; none if it is no sink's. */
export async function sinkOf(folder: string): Promise<string[]> {
  const id = await readFile(join(folder, FOLDER_ID), 'utf8').catch(() => undefined);
  return id === undefined ? [] : [`file:${id}`];
}

function invalid(message: string, cause?: unknown): CarillonError {
  return new CarillonError('CONFIGURATION_INVALID', { message: `NOTIFICATION_AUDIT_SINK: ${message}`, cause });
}

/** A file that is only added to, one write and one fdatasync a time. */
function fileSink(file: FileHandle, path: string, name: string): Sink {
  let length = 0;
  let isClean = true;
  return {
    name,
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
    async close() {
      await file.close();
      if (length === 0) await rm(path);
    },
  };
}

/** For whoever collects the output of processes: a JSON object per line. */
function writeOut(texts: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(texts.map((text) => `{"audit":${text}}\n`).join(''), (error) => (error ? reject(error) : resolve()));
  });
}
