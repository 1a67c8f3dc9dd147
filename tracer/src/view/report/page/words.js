// Numbers, durations and times for people.
const grouping = new Intl.NumberFormat('en');
const grouped = (number) => (number === null || number === undefined ? '-' : grouping.format(number));

const UNITS = [
  [86400e6, 'd'],
  [3600e6, 'h'],
  [60e6, 'min'],
  [1e6, 's'],
  [1e3, 'ms'],
  [1, 'us'],
];

function duration(us) {
  if (us === null || us === undefined) return '-';
  if (us < 1) return us === 0 ? '0' : `${Math.round(us * 1000)}ns`;
  const [size, unit] = UNITS.find(([size]) => us >= size);
  const value = us / size;
  return (
    (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : Math.round(value).toString()) + unit
  );
}

// A round one, without what follows the point.
const roughly = (us) => duration(us).replace(/\.0+(?=\D)/, '');

const pad = (number, digits = 2) => String(number).padStart(digits, '0');

// A time of day, UTC, of microseconds since the beginning. What is longer than a day has the day, too.
function clock(us, exact = data.duration < 60e6) {
  const time = new Date((data.begin + us) / 1000);
  if (Number.isNaN(time.getTime())) return '-';
  const day = data.duration > 86400e6 ? `${pad(time.getUTCMonth() + 1)}-${pad(time.getUTCDate())} ` : '';
  const second = `${day}${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}:${pad(time.getUTCSeconds())}`;
  return exact ? `${second}.${pad(time.getUTCMilliseconds(), 3)}` : second;
}

const share = (part, all) =>
  all === 0 ? '-' : `${((100 * part) / all).toFixed(part * 1000 < all ? 2 : 1)}%`;
