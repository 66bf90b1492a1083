/** The words of `--help`. */

/** The `Examples` part of a command's help. */
export function examples(rows: readonly (readonly [command: string, what: string])[]): string {
  const width = Math.max(...rows.map(([command]) => command.length));
  return `\nExamples:\n${rows.map(([command, what]) => `  $ ${command.padEnd(width)}   ${what}`).join('\n')}\n`;
}
