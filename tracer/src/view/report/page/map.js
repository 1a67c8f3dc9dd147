// The service map: peers at the left, processes in the middle, services at the right.
const LINES = 24;

function serviceMap() {
  const all = data.talks.rows;
  if (all.length === 0) {
    show('map-chart', note('No connection had a peer.'));
    return show('map-table');
  }
  // Those with the most connections, and those with the most failures.
  const failing = [...all]
    .sort((one, other) => other.failed - one.failed)
    .slice(0, LINES / 2)
    .filter((talk) => talk.failed > 0);
  const talks = [...new Set([...failing, ...all])].slice(0, LINES);
  const columns = [new Map(), new Map(), new Map()];
  const node = (column, name, count) => {
    const known = columns[column].get(name) ?? { name, count: 0, used: [0, 0] };
    known.count += count;
    columns[column].set(name, known);
    return known;
  };
  const lines = talks.map((talk) => {
    const process = node(1, talk.comm ?? '(not known)', talk.connections);
    const end = talk.addr.includes(':') ? `[${talk.addr}]:${talk.port}` : `${talk.addr}:${talk.port}`;
    const other = talk.serves
      ? node(0, `${talk.addr} to port ${talk.port}`, talk.connections)
      : node(2, end, talk.connections);
    return { talk, from: talk.serves ? other : process, to: talk.serves ? process : other };
  });
  const width = Math.max(640, pixels('map-chart'));
  const wide = Math.min(240, width * 0.27);
  const most = Math.max(...talks.map((talk) => talk.connections));
  const thick = (count) => 1.5 + (12 * count) / most;
  const lefts = [0, (width - wide) / 2, width - wide];
  let height = 0;
  columns.forEach((column, number) => {
    let top = 4;
    for (const node of [...column.values()].sort((one, other) => other.count - one.count)) {
      const sides = [lines.filter((line) => line.to === node), lines.filter((line) => line.from === node)];
      const need = Math.max(
        ...sides.map((side) => side.reduce((sum, line) => sum + thick(line.talk.connections) + 2, 0)),
      );
      Object.assign(node, { x: lefts[number], y: top, height: Math.max(24, need + 6) });
      top += node.height + 8;
    }
    height = Math.max(height, top);
  });
  const parts = [];
  for (const { talk, from, to } of lines) {
    const size = thick(talk.connections);
    const [y1, y2] = [from.y + 3 + from.used[1] + size / 2, to.y + 3 + to.used[0] + size / 2];
    from.used[1] += size + 2;
    to.used[0] += size + 2;
    const [x1, x2] = [from.x + wide, to.x];
    const bend = (x2 - x1) / 2;
    parts.push(
      draw(
        'path',
        {
          d: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`,
          'stroke-width': size,
          class: talk.failed * 100 > talk.connections ? 'flow bad' : 'flow',
        },
        draw(
          'title',
          {},
          `${from.name} to ${to.name}: ${grouped(talk.connections)} connections, ${grouped(talk.failed)} failed`,
        ),
      ),
    );
  }
  for (const node of columns.flatMap((column) => [...column.values()])) {
    parts.push(
      draw(
        'rect',
        { x: node.x, y: node.y, width: wide, height: node.height, rx: 4, class: 'node' },
        draw('title', {}, node.name),
      ),
    );
    parts.push(text(node.x + 6, node.y + 16, shorten(node.name, wide / 7.2)));
  }
  show(
    'map-chart',
    el(
      'div',
      { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Service map' },
      draw(
        'svg',
        {
          width,
          height,
          viewBox: `0 0 ${width} ${height}`,
          role: 'img',
          'aria-label': 'Who talks to whom; the table below has the numbers',
        },
        parts,
      ),
    ),
    all.length > talks.length || data.talks.all === null || data.talks.all > talks.length
      ? note(
          `${grouped(talks.length)} of ${data.talks.all === null ? 'many' : grouped(data.talks.all)} pairs are drawn: those with the most connections and failures.`,
        )
      : null,
    data.talks.missing_at_most > 0
      ? note(`Up to ${grouped(data.talks.missing_at_most)} connections may be missing from each.`)
      : null,
  );
  const titles = [
    'Connections',
    'Failed',
    'Reset here',
    'Reset by the peer',
    'Not connected',
    'Timed out',
    'Segments sent again',
    'Handshake, mean',
    'Handshake, longest',
  ];
  behind(
    'map-table',
    'processes and their peers',
    [['Process'], ['Role'], ['Peer'], ['Port', 'number'], ...titles.map((title) => [title, 'number'])],
    () =>
      all.map((talk) => [
        talk.comm ?? '-',
        talk.serves ? 'server' : 'client',
        talk.addr,
        String(talk.port),
        grouped(talk.connections),
        grouped(talk.failed),
        grouped(talk.reset_local),
        grouped(talk.reset_remote),
        grouped(talk.not_connected),
        grouped(talk.timed_out),
        grouped(talk.retransmits),
        duration(talk.handshake_us),
        talk.slowest_us > 0 ? duration(talk.slowest_us) : '-',
      ]),
  );
}
