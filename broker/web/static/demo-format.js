// Sizes and durations for a person.

const threeDigits = new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });

/** Format a number of bytes, such as "3.84 MB". */
export function formatBytes(bytes) {
  if (bytes < 1e3) return Math.round(bytes) === 1 ? "1 byte" : `${Math.round(bytes)} bytes`;
  const [unit, name] = bytes < 1e6 ? [1e3, "kB"] : bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${threeDigits.format(bytes / unit)} ${name}`;
}

/** Format a duration, such as "12 s", "3 min" or "1 h 5 min". */
export function formatDuration(seconds) {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.ceil(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
