/** Figures and tables for people. */

/** `131,596,523,520` */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Three digits and a decimal prefix: `36.5 G`. */
export function formatShort(value: number, unit = ''): string {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
  const power = value < 1000 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(value) / 3));
  const scaled = value / 1000 ** power;
  const digits = power === 0 && Number.isInteger(value) ? 0 : scaled < 10 ? 2 : scaled < 100 ? 1 : 0;
  return `${scaled.toFixed(digits)} ${prefixes[power]}${unit}`.trimEnd();
}

/** `1.2 GB` */
export function formatBytes(sizeBytes: number): string {
  return formatShort(sizeBytes, 'B');
}

/** `42 s`, `3 min 05 s`, `2 h 07 min` */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`;
}

/** Rows under a head, columns padded; columns of figures are set to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const numeric = head.map((_, i) => rows.length > 0 && rows.every((row) => /^([-+]?\d|-?$)/.test(row[i]!)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ');
  return [head, ...rows].map((row) => line(row).trimEnd()).join('\n');
}
