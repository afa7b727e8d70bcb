/** The head of a column; figures stand right, words left. */
export interface Column {
  readonly text: string;
  readonly left?: boolean;
}

/** Rows under their heads, each column as wide as its longest cell. */
export function columns(head: readonly Column[], rows: readonly (readonly string[])[]): string {
  const all = [head.map(({ text }) => text), ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => {
    const cells = row.map((cell, column) => (head[column]?.left ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)));
    return cells.join('  ').trimEnd();
  };
  return all.map(line).join('\n');
}
