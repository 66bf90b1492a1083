/** Numbers, times and sizes as people read them. */

export function formatCount(value: number): string {
  if (value >= 999_950_000) return `${(value / 1e9).toFixed(2)} B`;
  if (value >= 999_950) return `${(value / 1e6).toFixed(2)} M`;
  if (value >= 10_000) return `${(value / 1e3).toFixed(1)} k`;
  return Math.round(value).toLocaleString('en');
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function formatPercent(fraction: number, digits = 1): string {
  return `${(fraction * 100).toFixed(digits)} %`;
}

export function formatTime(iso: string): string {
  return new Date(iso).toLocaleTimeString('en-GB');
}

/** Labels of an axis with as few digits as tell each tick exactly. @param format takes the digits after the point */
export function tickLabels(
  ticks: readonly number[],
  format: (value: number, digits: number) => string,
): string[] {
  const numberIn = (label: string) => Number.parseFloat(label.replaceAll(',', ''));
  for (let digits = 0; digits < 8; digits++) {
    const labels = ticks.map((tick) => format(tick, digits));
    const exact = ticks.every((tick, i) => numberIn(format(tick, digits + 1)) === numberIn(labels[i]!));
    if (exact && new Set(labels).size === labels.length) return labels;
  }
  return ticks.map((tick) => format(tick, 8));
}

/** A count on an axis: `7,500`, `12 k`, `1.5 M`. */
export function formatCountTick(value: number, digits: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(digits)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(digits)} k`;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
