// Elements, made without any markup: text is always text.
const SVG = 'http://www.w3.org/2000/svg';

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

const el = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  build(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);
const show = (id, ...children) =>
  byId(id).replaceChildren(...children.flat(Infinity).filter((child) => child !== null));

// A chart of a width in pixels: text keeps its size on a small screen.
function chart(width, height, label, ...children) {
  return draw(
    'svg',
    { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
    ...children,
  );
}

const text = (x, y, words, kind = '') => draw('text', { x, y, class: kind }, words);
const rect = (x, y, width, height, kind, words) =>
  draw(
    'rect',
    { x, y, width: Math.max(width, 0), height: Math.max(height, 0), class: kind },
    words ? draw('title', {}, words) : null,
  );

// Columns: [title, 'number' for figures]. Cells are text or elements.
function table(caption, columns, rows) {
  const head = el(
    'tr',
    {},
    columns.map(([title, kind]) => el('th', { scope: 'col', class: kind }, title)),
  );
  const body = rows.map((row) =>
    el(
      'tr',
      {},
      row.map((cell, place) => el('td', { class: columns[place][1] }, cell)),
    ),
  );
  return wide(
    caption,
    el(
      'table',
      {},
      el('caption', { class: 'unseen' }, caption),
      el('thead', {}, head),
      el('tbody', {}, body),
    ),
  );
}

// What may be wider than the screen, and is moved with the keyboard, too.
const wide = (label, ...children) =>
  el('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': label }, ...children);

// The table behind a chart. It stays open when it is made anew, and is made when it is opened.
function behind(id, caption, columns, rows) {
  const place = byId(id);
  const wasOpen = place.querySelector('details')?.open ?? false;
  const details = el('details', {}, el('summary', {}, `Table: ${caption}`));
  const fill = () => {
    if (details.open && details.children.length === 1) details.append(table(caption, columns, rows()));
  };
  details.addEventListener('toggle', fill);
  details.open = wasOpen;
  place.replaceChildren(details);
  fill();
}

const legend = (items) =>
  el(
    'ul',
    { class: 'legend' },
    items.map(([kind, words]) =>
      el(
        'li',
        {},
        draw('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' }, rect(0, 0, 10, 10, kind)),
        words,
      ),
    ),
  );
