// Tables of connections that sort and filter; each row can show its states in time.
const FEW = 15;

const ended = (row) => (row.open ? 'still open' : row.reason === null ? '-' : data.reasons[row.reason].name);

const COLUMNS = [
  {
    title: 'Began',
    number: true,
    of: (row) => row.start,
    cell: (row) => (row.older ? 'before' : clock(row.start, true)),
  },
  {
    title: 'Process',
    of: (row) => row.comm ?? '',
    cell: (row) => (row.comm === null ? '-' : `${row.comm}${row.guess ? '?' : ''} (${row.pid})`),
  },
  { title: 'Role', of: (row) => row.role ?? '', cell: (row) => row.role ?? '-' },
  { title: 'Local', of: (row) => row.local, cell: (row) => row.local },
  { title: 'Remote', of: (row) => row.remote, cell: (row) => row.remote },
  {
    title: 'Lasted',
    number: true,
    of: (row) => row.end - row.start,
    cell: (row) => (row.older ? '>' : '') + duration(row.end - row.start),
  },
  { title: 'End', of: ended, cell: ended },
];

function connectionTable(id, caption, own, source) {
  const columns = [own, ...COLUMNS.filter((column) => column.title !== own.title)];
  const state = { sorted: own, falls: true, filter: '', all: false, open: new Set() };
  const place = byId(id);
  const body = el('tbody');
  const told = el('p', { 'aria-live': 'polite' });
  const more = el('button', { type: 'button', class: 'more' });
  const heads = columns.map((column) => {
    const button = el('button', { type: 'button' }, column.title);
    const head = el('th', { scope: 'col', class: column.number ? 'number' : null }, button);
    button.addEventListener('click', () => {
      state.falls = state.sorted === column ? !state.falls : Boolean(column.number);
      state.sorted = column;
      fill();
    });
    return head;
  });
  const input = el('input', { type: 'search', id: `${id}-filter`, autocomplete: 'off', spellcheck: 'false' });
  input.addEventListener('input', () => {
    state.filter = input.value.trim().toLowerCase();
    fill();
  });
  more.addEventListener('click', () => {
    state.all = !state.all;
    fill();
  });

  const [begin, end] = [() => chosen.from * data.width, () => chosen.until * data.width];
  const words = (row) =>
    columns
      .map((column) => column.cell(row))
      .concat(row.unit ?? '')
      .join(' ')
      .toLowerCase();
  const matches = (row) =>
    (isAll() || (row.end >= begin() && row.start <= end())) &&
    (state.filter === '' || words(row).includes(state.filter));

  function compare(one, other) {
    const [a, b] = [state.sorted.of(one), state.sorted.of(other)];
    const order = a < b ? -1 : a > b ? 1 : 0;
    return state.falls ? -order : order;
  }

  function fill() {
    columns.forEach((column, number) => {
      const sort = column !== state.sorted ? 'none' : state.falls ? 'descending' : 'ascending';
      heads[number].setAttribute('aria-sort', sort);
      heads[number].firstChild.textContent =
        column.title + (sort === 'none' ? '' : state.falls ? ' ▾' : ' ▴');
    });
    const found = source.rows.filter(matches).sort(compare);
    const shown = state.all ? found : found.slice(0, FEW);
    body.replaceChildren(...shown.flatMap((row) => rowsOf(row, columns, state, fill)));
    more.hidden = found.length <= FEW;
    more.textContent = state.all ? `Show ${FEW}` : `Show all ${found.length}`;
    told.textContent =
      `${grouped(shown.length)} of ${grouped(found.length)} rows` +
      (source.all > source.rows.length
        ? `; the table has the first ${grouped(source.rows.length)} of ${grouped(source.all)}`
        : '') +
      '.';
  }

  if (source.rows.length === 0) {
    place.replaceChildren(el('h3', {}, caption), note('None.'));
    return () => {};
  }
  place.replaceChildren(
    el('h3', {}, caption),
    el('p', { class: 'controls' }, el('label', { for: `${id}-filter` }, 'Only rows with '), input),
    wide(
      caption,
      el(
        'table',
        {},
        el('caption', { class: 'unseen' }, caption),
        el('thead', {}, el('tr', {}, heads, el('th', { scope: 'col' }, 'States'))),
        body,
      ),
    ),
    told,
    more,
  );
  return fill;
}

function rowsOf(row, columns, state, fill) {
  const isOpen = state.open.has(row);
  const button = el(
    'button',
    { type: 'button', 'aria-expanded': String(isOpen) },
    isOpen ? 'hide' : 'show',
    el('span', { class: 'unseen' }, ` the states of ${row.local} to ${row.remote}`),
  );
  const cells = columns.map((column) =>
    el('td', { class: column.number ? 'number' : null }, column.cell(row)),
  );
  const line = el('tr', { class: isOpen ? 'open' : null }, cells, el('td', {}, button));
  button.addEventListener('click', () => {
    if (isOpen) state.open.delete(row);
    else state.open.add(row);
    const place = [...line.parentNode.children].indexOf(line);
    const rows = line.parentNode;
    fill();
    rows.children[place]?.querySelector('button')?.focus();
  });
  return isOpen
    ? [line, el('tr', { class: 'open' }, el('td', { colspan: columns.length + 1 }, life(row)))]
    : [line];
}

// The states of a connection in time.
function life(row) {
  const known = row.life.filter(([, us]) => us !== null);
  const all = Math.max(
    known.reduce((sum, [, us]) => sum + us, 0),
    1e-3,
  );
  let x = 0;
  const parts = row.life.map(([state, us]) => {
    const long = us === null ? 0 : (1000 * us) / all;
    const part = rect(x, 0, Math.max(long, 2), 22, `s${state}`, `${data.states[state]}: ${duration(us)}`);
    x += long;
    return part;
  });
  const facts = [
    ['Cookie', String(row.cookie)],
    ['Unit or container', row.unit ?? '-'],
    ['Handshake', duration(row.handshake)],
    ['Sent', `${grouped(row.tx)} bytes`],
    ['Received', `${grouped(row.rx)} bytes`],
    ['Round trip', row.srtt > 0 ? duration(row.srtt) : '-'],
    ['Sent again', `${grouped(row.retransmits)} segments`],
    ['Closed first', row.by === null ? '-' : data.closed_by[row.by]],
  ];
  return [
    draw(
      'svg',
      {
        class: 'life',
        viewBox: '0 0 1000 22',
        height: 22,
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
      },
      parts,
    ),
    el(
      'ul',
      { class: 'legend' },
      row.life.map(([state, us]) =>
        el(
          'li',
          {},
          draw('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' }, rect(0, 0, 10, 10, `s${state}`)),
          `${data.states[state]} ${duration(us)}`,
        ),
      ),
    ),
    el('p', {}, facts.map(([title, value]) => `${title}: ${value}`).join(' · ')),
  ];
}
