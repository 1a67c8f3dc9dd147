// What has changed: all figures of both sides, as `tracer diff -o json` has them.
function changes() {
  if (data.diff === null) return;
  const percent = (part) => (part === null ? '-' : share(part, 1));
  const rate = (number) =>
    number === null ? '-' : number >= 100 ? grouped(Math.round(number)) : number.toPrecision(3);
  const chance = (p) => (p === null ? '-' : p < 1e-9 ? '<1e-9' : p < 0.001 ? p.toExponential(0) : p.toFixed(3));
  const titles = ['count', 'of', 'share', 'a second', 'p50', 'p99'];
  const figures = (side) => [
    grouped(side.count),
    grouped(side.of),
    percent(side.share),
    rate(side.per_second),
    duration(side.p50_us),
    duration(side.p99_us),
  ];
  const columns = (when) => titles.map((title) => [`${when}: ${title}`, 'number']);
  behind(
    'changed-table',
    'all that was compared',
    [
      ['Whose'],
      ['What'],
      ...columns('Before'),
      ...columns('After'),
      ['Ratio', 'number'],
      ['Chance', 'number'],
      ['Change'],
    ],
    () =>
      data.diff.rows.map((row, number) => [
        ...data.diff_names[number],
        ...figures(row.a),
        ...figures(row.b),
        row.ratio === null ? '-' : `${rate(row.ratio)}x`,
        chance(row.p_corrected),
        row.change ?? '-',
      ]),
  );
}
