// The charts about the chosen span.
const note = (words) => el('p', { class: 'soft' }, words);

function states(sum) {
  const most = Math.max(1, ...sum.transitions.values());
  const drawn = new Set();
  for (const group of byId('diagram').querySelectorAll('g[data-old]')) {
    const key = Number(group.dataset.old) * STATES + Number(group.dataset.new);
    const count = sum.transitions.get(key) ?? 0;
    drawn.add(key);
    group.classList.toggle('none', count === 0);
    // The width is that of the share; even one in a million can be seen.
    group
      .querySelector('polyline')
      .setAttribute('stroke-width', count === 0 ? 1 : 1.5 + (7.5 * count) / most);
    group.querySelector('.count').textContent = count === 0 ? '' : grouped(count);
  }
  for (const group of byId('diagram').querySelectorAll('g[data-state]')) {
    const key = Number(group.dataset.state) * STATES + 7;
    const count = drawn.has(key) ? 0 : (sum.transitions.get(key) ?? 0);
    group.querySelector('.out').textContent = count === 0 ? '' : `out ${grouped(count)}`;
  }
  behind('states-table', 'transitions', [['From'], ['To'], ['Count', 'number']], () =>
    [...sum.transitions]
      .sort((one, other) => other[1] - one[1])
      .map(([key, count]) => [
        data.states[Math.floor(key / STATES)] || '?',
        data.states[key % STATES] || '?',
        grouped(count),
      ]),
  );
}

// Name, counts by powers of two, and exact quantiles of all of the time.
function durationsOf(sum) {
  const bySate = new Map(data.total.states.map((times) => [data.states.indexOf(times.state), times]));
  const order = [16, 17, 2, 3, 12, 1, 8, 9, 4, 11, 5, 6, 10];
  return order
    .map((index) => {
      const exact = index >= STATES ? data.handshakes[index - STATES] : bySate.get(index);
      const name =
        index === 16 ? 'Handshake, client' : index === 17 ? 'Handshake, server' : data.states[index];
      const counts = sum.durations[index];
      const stays = [...counts.values()].reduce((all, count) => all + count, 0);
      const known = isAll() && exact;
      const at = (key, part) => (known ? exact[key] : quantile(counts, part));
      return {
        name,
        counts,
        stays,
        p50: at('p50_us', 0.5),
        p90: at('p90_us', 0.9),
        p99: at('p99_us', 0.99),
        max: known ? exact.max_us : quantile(counts, 1),
        unknown: known ? (exact.unknown ?? 0) : null,
        now: known ? (exact.now ?? null) : null,
      };
    })
    .filter((row) => row.stays > 0);
}

function durations(sum) {
  const rows = durationsOf(sum);
  if (rows.length === 0) {
    show('durations-chart', note('No duration is known in this span.'));
    return show('durations-table');
  }
  const powers = rows.flatMap((row) => [...row.counts.keys()]);
  const [low, high] = [Math.min(...powers), Math.max(...powers) + 1];
  const width = pixels('durations-chart');
  const [left, height] = [Math.min(150, width * 0.4), 40];
  const x = (power) => left + ((width - left - 10) * (power - low)) / (high - low);
  const atUs = (us) => x(Math.min(high, Math.max(low, Math.log2(Math.max(us * 1000, 1)))));
  const parts = [];
  const bottom = rows.length * height + 4;
  // 1us, 10us, 100us and so on; in a narrow window only every second one has room.
  const every = ((width - left) / (high - low)) * Math.log2(10) < 50 ? 2 : 1;
  for (let decade = 0; decade < 17; decade += every) {
    const power = Math.log2(10 ** decade);
    if (power < low || power > high) continue;
    parts.push(draw('line', { x1: x(power), x2: x(power), y1: 2, y2: bottom, class: 'axis' }));
    parts.push(
      text(
        x(power),
        bottom + 14,
        roughly(10 ** decade / 1000),
        x(power) > width - 24 ? 'end soft' : 'middle soft',
      ),
    );
  }
  rows.forEach((row, number) => {
    const base = (number + 1) * height - 4;
    const most = Math.max(...row.counts.values());
    parts.push(text(0, base - 16, row.name), text(0, base - 2, `${grouped(row.stays)} times`, 'soft'));
    for (const [power, count] of row.counts) {
      const tall = Math.max(1.5, ((height - 12) * count) / most);
      parts.push(
        rect(
          x(power) + 0.5,
          base - tall,
          x(power + 1) - x(power) - 1,
          tall,
          'bar',
          `${row.name}: ${grouped(count)} from ${duration(2 ** power / 1000)} to ${duration(2 ** (power + 1) / 1000)}`,
        ),
      );
    }
    for (const [key, us] of [
      ['p50', row.p50],
      ['p90', row.p90],
      ['p99', row.p99],
    ]) {
      if (us === null) continue;
      parts.push(
        draw(
          'line',
          { x1: atUs(us), x2: atUs(us), y1: base - height + 10, y2: base + 2, class: 'mark' },
          draw('title', {}, `${row.name}: ${key} ${duration(us)}`),
        ),
      );
    }
  });
  show(
    'durations-chart',
    chart(width, bottom + 20, 'Distributions of durations; the table below has the quantiles', parts),
    note(
      isAll()
        ? 'Quantiles are within a hundredth.'
        : 'Quantiles of a part of the time are upper ends of their ranges, each up to twice its beginning.',
    ),
  );
  const numbers = ['Count', 'p50', 'p90', 'p99', 'Longest', 'Of unknown length', 'There at the end'];
  behind('durations-table', 'durations', [['Of'], ...numbers.map((title) => [title, 'number'])], () =>
    rows.map((row) => [
      row.name,
      grouped(row.stays),
      ...[row.p50, row.p90, row.p99, row.max].map(duration),
      grouped(row.unknown),
      grouped(row.now),
    ]),
  );
}

function ends(sum) {
  const rows = data.reasons
    .map((reason, number) => ({
      ...reason,
      by: sum.ends[number],
      all: sum.ends[number].reduce((one, other) => one + other, 0),
    }))
    .filter((row) => row.all > 0)
    .sort((one, other) => other.all - one.all);
  if (rows.length === 0) {
    show('ends-chart', note('No connection ended in this span.'));
    return show('ends-table');
  }
  const width = pixels('ends-chart');
  const narrow = width < 520;
  const [left, right, height] = [narrow ? 0 : 190, 70, narrow ? 36 : 24];
  const most = rows[0].all;
  const parts = [];
  rows.forEach((row, number) => {
    const top = number * height + (narrow ? 16 : 2);
    parts.push(text(0, number * height + 13, row.name));
    let x = left;
    row.by.forEach((count, first) => {
      const long = ((width - left - right) * count) / most;
      if (count > 0)
        parts.push(
          rect(
            x,
            top,
            Math.max(long, 1),
            15,
            `by${first}`,
            `${row.name}, ${data.closed_by[first]} first: ${grouped(count)}`,
          ),
        );
      x += long;
    });
    parts.push(text(x + 6, top + 12, grouped(row.all)));
  });
  const first = ['This side first', 'The peer first', 'Both at once', 'Nobody'];
  show(
    'ends-chart',
    chart(
      width,
      rows.length * height + 4,
      'Ends by reason and by who closed first; the table below has the numbers',
      parts,
    ),
    note('Who closed first:'),
    legend(first.map((words, number) => [`by${number}`, words])),
  );
  behind(
    'ends-table',
    'ends of connections',
    [['Reason'], ['What it means'], ...first.map((words) => [words, 'number']), ['All', 'number']],
    () => rows.map((row) => [row.name, row.brief, ...row.by.map(grouped), grouped(row.all)]),
  );
}

const TITLES = { service: 'Services', peer: 'Peers', process: 'Processes', container: 'Containers' };

// Name, begun, ended, failed: exact for all of the time; for a part as far as its slots know.
function ranked(ranking, number, sum) {
  if (isAll())
    return ranking.rows.map(([name, transitions, begun, ended, failed]) => ({
      name,
      transitions,
      begun,
      ended,
      failed,
    }));
  const rows = [...sum.keys[number]].map(([key, [begun, ended, failed]]) => ({
    name: ranking.names[key],
    begun,
    ended,
    failed,
  }));
  return rows.slice(0, 200);
}

function rankings(sum) {
  const place = byId('rankings');
  if (place.children.length === 0) {
    place.className = 'panels';
    place.append(
      ...data.rankings.map((ranking) =>
        el(
          'div',
          {},
          el('h3', {}, TITLES[ranking.by]),
          el('div', { id: `by-${ranking.by}` }),
          el('div', { id: `by-${ranking.by}-table` }),
        ),
      ),
    );
  }
  data.rankings.forEach((ranking, number) => {
    const rows = ranked(ranking, number, sum);
    const id = `by-${ranking.by}`;
    if (rows.length === 0) {
      show(id, note('None in this span.'));
      return show(`${id}-table`);
    }
    const size = (row) => Math.max(row.begun, row.ended ?? 0);
    const top = [...rows]
      .sort((one, other) => size(other) - size(one))
      .slice(0, 10)
      .filter((row) => size(row) > 0);
    const width = pixels(id);
    const most = Math.max(1, ...top.map(size));
    const parts = top.map((row, place) => {
      const long = ((width - 80) * size(row)) / most;
      return [
        text(0, place * 36 + 12, shorten(row.name, width / 7)),
        rect(
          0,
          place * 36 + 17,
          Math.max(long, 1),
          12,
          'bar',
          `${row.name}: ${grouped(size(row))} connections`,
        ),
        row.failed > 0
          ? rect(
              0,
              place * 36 + 23,
              Math.max(((width - 80) * row.failed) / most, 1),
              6,
              'bad',
              `${row.name}: ${grouped(row.failed)} failed`,
            )
          : null,
        text(long + 6, place * 36 + 27, grouped(size(row))),
      ];
    });
    const missing = isAll() ? ranking.missing_at_most : sum.missing[number];
    show(
      id,
      chart(
        width,
        top.length * 36 + 2,
        `${TITLES[ranking.by]} with the most; the table below has the numbers`,
        parts,
      ),
      legend([
        ['bar', 'connections'],
        ['bad', 'ended out of order'],
      ]),
      missing > 0
        ? note(
            `Up to ${grouped(missing)} ${isAll() ? 'transitions' : 'connections'} may be missing from each.`,
          )
        : null,
      isAll() && ranking.keys !== null && ranking.keys > rows.length
        ? note(`${grouped(ranking.keys)} in all; those with the most are here.`)
        : null,
    );
    const columns = [
      ['Name'],
      ...(isAll() ? [['Transitions', 'number']] : []),
      ['Begun', 'number'],
      ['Ended', 'number'],
      ['Failed', 'number'],
      ['Of these ended', 'number'],
    ];
    behind(`${id}-table`, TITLES[ranking.by].toLowerCase(), columns, () =>
      rows.map((row) => [
        row.name,
        ...(isAll() ? [grouped(row.transitions)] : []),
        grouped(row.begun),
        grouped(row.ended),
        grouped(row.failed),
        share(row.failed, row.ended),
      ]),
    );
  });
}

const shorten = (words, most) => (words.length > most ? `${words.slice(0, Math.max(1, most - 1))}…` : words);
