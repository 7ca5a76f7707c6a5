// Comforts of the report: tables that sort, rows that can be filtered, figures that can be saved. Without it all is readable.
(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const made = (tag, properties) => Object.assign(document.createElement(tag), properties);

  // a link to a section opens it
  const open = () => {
    const section = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (const fold of section ? all('details.fold', section) : []) fold.open = true;
  };
  addEventListener('hashchange', open);
  open();
  let closed = [];
  addEventListener('beforeprint', () => { closed = all('details.fold:not([open])'); closed.forEach(d => { d.open = true; }); });
  addEventListener('afterprint', () => closed.forEach(d => { d.open = false; }));

  // a table that is wider than the page says so
  document.documentElement.classList.add('scripted');
  const hint = () => { for (const box of all('.scroll')) box.classList.toggle('cut', box.scrollWidth > box.clientWidth + 1); };
  addEventListener('resize', hint);
  addEventListener('toggle', hint, true);
  hint();

  // a column's head sorts by its first number, or by its text
  const key = (row, column) => {
    const text = (row.cells[column]?.textContent ?? '').trim();
    const number = text.replaceAll('−', '-').replaceAll(',', '').match(/-?\d+(\.\d+)?/);
    return column && number ? parseFloat(number[0]) : column ? NaN : text;
  };
  for (const table of all('table.sortable')) {
    const heads = all('thead th', table);
    heads.forEach(head => {
      const button = made('button', { type: 'button', className: 'sort' });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') !== 'descending', sign = down ? -1 : 1;
        heads.forEach(other => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const rows = all('tbody tr', table).map(row => [key(row, head.cellIndex), row]);
        const unknown = x => typeof x === 'number' && isNaN(x);
        rows.sort(([a], [b]) => unknown(a) - unknown(b) || sign * (typeof a === 'string' ? a.localeCompare(b) : a - b) || 0);
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }

  // one field for all tables and figures of rows
  const place = document.getElementById('filter');
  if (place) {
    const input = made('input', { type: 'search', id: 'rows', placeholder: 'such as eda', autocomplete: 'off' });
    const told = made('output', { htmlFor: 'rows' });
    const unfold = made('button', { type: 'button', textContent: 'Open all sections' });
    place.append(made('label', { htmlFor: 'rows', textContent: 'Only rows that contain ' }), input, ' ', told, ' ', unfold);
    input.addEventListener('input', () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const e of all('[data-row]')) e.hidden = !words.every(word => e.dataset.row.toLowerCase().includes(word));
      const rows = all('#table2 tr[data-row]');
      told.textContent = words.length ? `${rows.filter(row => !row.hidden).length} of ${rows.length} rows` : '';
    });
    unfold.addEventListener('click', () => {
      const folds = all('details.fold'), any = folds.some(d => !d.open);
      folds.forEach(d => { d.open = any; });
      unfold.textContent = any ? 'Close all sections' : 'Open all sections';
    });
  }

  // a figure as a file: the theme's colours become those of the light one
  const light = { '--series-0': '#0072b2', '--series-1': '#d55e00', '--series-2': '#00815d', '--series-3': '#b65d91',
    '--series-4': '#b57a00', '--series-5': '#2a8fc4', '--rule': '#d5d7da' };
  for (const span of all('[data-svg]')) {
    const button = made('button', { type: 'button', className: 'save', textContent: 'SVG' });
    button.setAttribute('aria-label', `Save ${span.dataset.svg}.svg`);
    button.addEventListener('click', () => {
      let text = new XMLSerializer().serializeToString(span.closest('figure').querySelector('svg'));
      text = text.replace(/var\((--[\w-]+)\)/g, (_, name) => light[name] ?? '#1d1f21').replaceAll('currentColor', '#1d1f21');
      const url = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }));
      made('a', { href: url, download: `${span.dataset.svg}.svg` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
    span.append(button, ' ');
  }
})();
