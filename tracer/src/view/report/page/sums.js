// Sums over the slots of the chosen span.
const data = JSON.parse(byId('data').textContent);
const SLOTS = data.slots.length;
const STATES = 16;
const KINDS = ['begun', 'closed', 'failed', 'reset'];

// From this slot on, up to before that one.
const chosen = { from: 0, until: SLOTS };
const isAll = () => chosen.from === 0 && chosen.until === SLOTS;

function groups(flat, size, take) {
  for (let at = 0; at < flat.length; at += size) take(...flat.slice(at, at + size));
}

// What begins with this transition is a connection.
const begins = (from, to) => (from === 7 && to !== 7 && to !== 10) || (from === 10 && to === 3);

// For the timeline: how many began and ended in each slot.
const bySlot = data.slots.map((slot) => {
  const counts = { begun: 0, closed: 0, failed: 0, reset: 0, again: slot.r };
  groups(slot.t, 3, (from, to, count) => {
    if (begins(from, to)) counts.begun += count;
  });
  groups(slot.e, 3, (reason, first, count) => {
    counts[data.reasons[reason].kind] += count;
  });
  return counts;
});

function sums() {
  const sum = {
    transitions: new Map(),
    ends: data.reasons.map(() => data.closed_by.map(() => 0)),
    durations: Array.from({ length: STATES + 2 }, () => new Map()),
    keys: data.rankings.map(() => new Map()),
    missing: data.rankings.map(() => 0),
  };
  for (const slot of data.slots.slice(chosen.from, chosen.until)) {
    groups(slot.t, 3, (from, to, count) => {
      const key = from * STATES + to;
      sum.transitions.set(key, (sum.transitions.get(key) ?? 0) + count);
    });
    groups(slot.e, 3, (reason, first, count) => {
      sum.ends[reason][first] += count;
    });
    groups(slot.d, 3, (state, power, count) => {
      sum.durations[state].set(power, (sum.durations[state].get(power) ?? 0) + count);
    });
    groups(slot.k, 5, (ranking, name, begun, ended, failed) => {
      const counts = sum.keys[ranking].get(name) ?? [0, 0, 0];
      sum.keys[ranking].set(name, [counts[0] + begun, counts[1] + ended, counts[2] + failed]);
    });
    slot.m.forEach((missing, ranking) => {
      sum.missing[ranking] += missing;
    });
  }
  return sum;
}

// Quantiles of counts by powers of two of nanoseconds: the upper ends of their ranges, in microseconds.
function quantile(counts, part) {
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  let passed = 0;
  for (const [power, count] of [...counts].sort((one, other) => one[0] - other[0])) {
    passed += count;
    if (passed >= part * all) return 2 ** (power + 1) / 1000;
  }
  return null;
}
