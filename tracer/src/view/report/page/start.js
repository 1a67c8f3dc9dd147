// The beginning.
const first = (title) => ({
  title,
  number: true,
  of: (row) => row.value,
  cell: (row) => duration(row.value),
});
const stuckFor = {
  title: 'Stuck for',
  number: true,
  of: (row) => row.value,
  cell: (row) => `${duration(row.value)} in ${data.states[row.state]}`,
};
const fills = [
  connectionTable('stuck', 'Stuck connections: longer in a state than its limit', stuckFor, data.stuck),
  connectionTable('slowest', 'Slowest handshakes', first('Handshake'), data.slowest),
  connectionTable('longest', 'Longest connections', first('Lasted'), data.longest),
];

function redraw() {
  const sum = sums();
  timeline();
  states(sum);
  durations(sum);
  ends(sum);
  rankings(sum);
  fills.forEach((fill) => fill());
}

for (const [id, slot] of [
  ['from', 0],
  ['until', SLOTS],
]) {
  Object.assign(byId(id), { max: SLOTS, value: slot });
}
byId('from').addEventListener('input', (event) => {
  const from = Math.min(Number(event.target.value), SLOTS - 1);
  choose(from, Math.max(chosen.until, from + 1));
});
byId('until').addEventListener('input', (event) => {
  const until = Math.max(Number(event.target.value), 1);
  choose(Math.min(chosen.from, until - 1), until);
});
byId('all').addEventListener('click', () => choose(0, SLOTS));
let width = innerWidth;
addEventListener('resize', () => {
  if (innerWidth === width) return;
  width = innerWidth;
  redraw();
  serviceMap();
});
choose(0, SLOTS);
serviceMap();
changes();
