import { askRedis, type RedisServer } from '@carillon/embedded';

/** What Redis says of itself since it started. */
export interface RedisFigures {
  readonly version: string;
  readonly cpuSeconds: number;
  /** Commands, those called inside of scripts included (`total_commands_processed`). */
  readonly commands: number;
  readonly memoryBytes: number;
  /** Bytes of the append-only file. */
  readonly fileBytes: number;
  readonly byCommand: Readonly<Record<string, { readonly calls: number; readonly microseconds: number }>>;
}

export async function readRedis(server: RedisServer): Promise<RedisFigures> {
  const info = await askRedis(server, 'INFO', 'everything');
  const text = (field: string) => new RegExp(`^${field}:(\\S*)`, 'm').exec(info)?.[1] ?? '';
  const commands = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm)];
  return {
    version: text('redis_version'),
    cpuSeconds: Number(text('used_cpu_user')) + Number(text('used_cpu_sys')),
    commands: Number(text('total_commands_processed')),
    memoryBytes: Number(text('used_memory')),
    fileBytes: Number(text('aof_current_size')),
    byCommand: Object.fromEntries(commands.map(([, name, calls, usec]) => [name, { calls: Number(calls), microseconds: Number(usec) }])),
  };
}
