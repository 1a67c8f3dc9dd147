// The timeline, and the choice of a span.
const ROW = 46;
const LEFT = 64;

const pixels = (id) => Math.max(280, Math.round(byId(id).clientWidth) || 800);

function niceSteps(width) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400].map(
    (seconds) => seconds * 1e6,
  );
  const most = Math.max(2, Math.floor(width / 110));
  return [1e3, 1e4, 1e5, 5e5, ...steps].find((step) => data.duration / step <= most) ?? data.duration / most;
}

function timeline() {
  const width = pixels('timeline');
  const inner = width - LEFT - 8;
  const span = Math.max(SLOTS * data.width, 1);
  const x = (us) => LEFT + (inner * Math.min(Math.max(us, 0), span)) / span;
  const kinds = [...KINDS, ...(bySlot.some((slot) => slot.again > 0) ? ['again'] : [])];
  const parts = [];
  kinds.forEach((kind, row) => {
    const top = 6 + row * ROW;
    const most = Math.max(1, ...bySlot.map((slot) => slot[kind]));
    const total = bySlot.slice(chosen.from, chosen.until).reduce((sum, slot) => sum + slot[kind], 0);
    parts.push(
      text(0, top + 14, kind === 'again' ? 'sent again' : kind),
      text(0, top + 30, grouped(total), 'soft'),
    );
    parts.push(
      draw('line', { x1: LEFT, x2: LEFT + inner, y1: top + ROW - 8, y2: top + ROW - 8, class: 'axis' }),
    );
    bySlot.forEach((slot, number) => {
      if (slot[kind] === 0) return;
      const height = Math.max(1.5, ((ROW - 12) * slot[kind]) / most);
      const begin = number * data.width;
      parts.push(
        rect(
          x(begin),
          top + ROW - 8 - height,
          Math.max(1, x(begin + data.width) - x(begin) - 0.5),
          height,
          kind,
          `${clock(begin)}: ${grouped(slot[kind])} ${kind}`,
        ),
      );
    });
  });
  let bottom = 6 + kinds.length * ROW;
  if (data.findings.length > 0) {
    parts.push(text(0, bottom + 11, 'findings'));
    data.findings.slice(0, 8).forEach((finding, row) => {
      parts.push(
        rect(
          x(finding.from),
          bottom + 2 + row * 7,
          Math.max(3, x(finding.until) - x(finding.from)),
          5,
          'finding',
          finding.sentence,
        ),
      );
    });
    bottom += Math.max(18, 4 + 7 * Math.min(data.findings.length, 8));
  }
  if (data.losses.length > 0) {
    parts.push(text(0, bottom + 11, 'lost'));
    data.losses.forEach(([from, until, count]) => {
      parts.push(
        rect(
          x(from),
          bottom + 2,
          Math.max(2, x(until) - x(from)),
          9,
          'lost',
          `${clock(from)}: ${grouped(count)} events lost`,
        ),
      );
    });
    bottom += 18;
  }
  const step = niceSteps(inner);
  for (let us = Math.ceil(data.begin / step) * step - data.begin; us <= data.duration; us += step) {
    parts.push(
      draw('line', { x1: x(us), x2: x(us), y1: 4, y2: bottom, class: 'axis' }),
      text(
        x(us),
        bottom + 14,
        clock(us, step < 1e6),
        x(us) > width - 40 ? 'end' : x(us) < LEFT + 30 ? '' : 'middle',
      ),
    );
  }
  if (!isAll()) {
    parts.push(rect(LEFT, 4, x(chosen.from * data.width) - LEFT, bottom - 4, 'unchosen'));
    const end = x(chosen.until * data.width);
    parts.push(rect(end, 4, LEFT + inner - end, bottom - 4, 'unchosen'));
  }
  const picture = chart(
    width,
    bottom + 20,
    'Connections begun, closed, failed and reset over time; the table below has the numbers',
    parts,
  );
  brush(picture, width, inner);
  show('timeline', picture);
  behind(
    'timeline-table',
    'connections over time',
    [['From'], ...kinds.map((kind) => [kind === 'again' ? 'sent again' : kind, 'number'])],
    () =>
      bySlot
        .slice(chosen.from, chosen.until)
        .map((slot, number) => [
          clock((chosen.from + number) * data.width),
          ...kinds.map((kind) => grouped(slot[kind])),
        ]),
  );
}

// Dragging chooses; a click without dragging chooses all.
function brush(picture, width, inner) {
  const slotAt = (event) => {
    const box = picture.getBoundingClientRect();
    const at = ((event.clientX - box.left) * width) / box.width - LEFT;
    return Math.min(SLOTS - 1, Math.max(0, Math.floor((SLOTS * at) / inner)));
  };
  picture.addEventListener('pointerdown', (event) => {
    const first = slotAt(event);
    const held = event.pointerId;
    let last = first;
    const moves = (moved) => {
      if (moved.pointerId !== held) return;
      last = slotAt(moved);
      if (last !== first) mark(Math.min(first, last), Math.max(first, last) + 1);
    };
    const ends = (ended) => {
      if (ended.pointerId !== held) return;
      removeEventListener('pointermove', moves);
      removeEventListener('pointerup', ends);
      removeEventListener('pointercancel', ends);
      if (ended.type === 'pointercancel') return choose(chosen.from, chosen.until);
      if (last === first) choose(0, SLOTS);
      else choose(Math.min(first, last), Math.max(first, last) + 1);
    };
    addEventListener('pointermove', moves);
    addEventListener('pointerup', ends);
    addEventListener('pointercancel', ends);
  });
  const shade = rect(0, 4, 0, 0, 'unchosen');
  picture.append(shade);
  const mark = (from, until) => {
    shade.setAttribute('x', LEFT + (inner * from) / SLOTS);
    shade.setAttribute('width', (inner * (until - from)) / SLOTS);
    shade.setAttribute('height', kindsHeight(picture));
  };
}

const kindsHeight = (picture) => Number(picture.getAttribute('viewBox').split(' ')[3]) - 24;

// Everything is drawn anew for this span.
function choose(from, until) {
  [chosen.from, chosen.until] = [from, Math.max(until, from + 1)];
  byId('from').value = chosen.from;
  byId('until').value = chosen.until;
  for (const [id, slot] of [
    ['from', chosen.from],
    ['until', chosen.until],
  ]) {
    byId(id).setAttribute('aria-valuetext', clock(slot * data.width));
  }
  byId('chosen').textContent = isAll()
    ? 'All of the time is chosen.'
    : `${clock(chosen.from * data.width)} to ${clock(chosen.until * data.width)} is chosen (${duration((chosen.until - chosen.from) * data.width)}).`;
  redraw();
}
