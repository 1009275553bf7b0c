// A block: its instructions beside those that stand for them, and what is known of them.

/** A line of code as spans: mnemonic and operands, doubts as heat, filled holes outlined. marks: [[start, length, kind, value]]. */
function codeLine(line, marks = []) {
  const mnemonic = line.search(/\s|$/);
  const cuts = [...new Set([0, mnemonic, line.length, ...marks.flatMap(([start, length]) => [start, start + length])])]
    .filter((cut) => cut >= 0 && cut <= line.length).sort((a, b) => a - b);
  const spans = cuts.slice(1).map((end, n) => {
    const start = cuts[n];
    const span = h('span', { class: start < mnemonic ? 'mnemonic' : null }, line.slice(start, end));
    for (const [from, length, kind, value] of marks) {
      if (start < from || end > from + length) continue;
      span.classList.add(kind);
      if (kind === 'doubt') {
        span.style.setProperty('--heat', `${Math.round(100 * (1 - value))}%`);
        span.title = `probability ${value}`;
      } else span.title = value;
    }
    return span;
  });
  return h('code', {}, spans);
}

function marksOf(piece, line) {
  const doubts = (piece.doubts || []).filter(([n]) => n === line).map(([, start, length, p]) => [start, length, 'doubt', p]);
  const filled = (piece.filled || []).filter(([n]) => n === line)
    .map(([, start, length, kind, guess]) => [start, length, 'filled', `hole (${kind}); the guess had ${guess || 'nothing'}`]);
  return [...doubts, ...filled];
}

function drawnPiece(block, piece, start) {
  const source = lines(block.source).slice(start, start + piece.size);
  const node = h('div', { class: 'piece' },
    h('ol', { class: 'code source', 'aria-label': 'x86-64' }, source.map((line, n) => h('li', { 'data-n': n },
      h('span', { class: 'offset' }, block.offsets[start + n]?.toString(16)), codeLine(line)))),
    s('svg', { class: 'lines', 'aria-hidden': 'true' }),
    h('ol', { class: 'code target', 'aria-label': data.target }, lines(piece.lines).map((line, n) => h('li',
      { 'data-n': n, class: /^\d+:$/.test(line) ? 'label' : null }, codeLine(line, marksOf(piece, n))))));
  if (piece.align) node.classList.add('aligned');
  const facts = [
    `${piece.verdict ? 'tested' : 'proved'} by ${text(piece.by)}`, duration(piece.seconds), piece.cached && 'from the cache',
    piece.sure !== undefined && `confidence ${piece.sure.toFixed(2)}`].filter(Boolean).join(' · ');
  return [node, h('ul', { class: 'notes' },
    h('li', {}, facts),
    piece.why !== undefined && h('li', { class: 'tested' }, `not proved: ${text(piece.why)}`),
    (piece.assumes || []).map((n) => h('li', {}, `assuming ${text(n)}`)),
    (piece.upto || []).map((n) => h('li', {}, `up to ${text(n)}`)),
    (piece.filled || []).map(([line, from, length, kind, guess]) => h('li', {}, `hole in line ${line + 1}, ${kind}: `,
      h('del', {}, guess || 'nothing'), ' became ', h('ins', {}, lines(piece.lines)[line].slice(from, from + length) || 'nothing'))))];
}

function drawnTries(block) {
  if (!block.tries.length) return null;
  return h('details', { class: 'tries' },
    h('summary', {}, `${plural(block.tries.length, 'candidate')} not accepted`),
    block.tries.map((t) => h('div', { class: 'try' },
      h('p', {}, `${text(t.by)}, for `, t.size === lines(block.source).length ? 'the block' : `instructions ${t.start + 1} to ${t.start + t.size}`,
        t.sure !== undefined && `, confidence ${t.sure.toFixed(2)}`, ': ', h('span', { class: 'refuted' }, text(t.why))),
      h('ol', { class: 'code' }, lines(t.lines).map((line, n) => h('li', {}, codeLine(line, marksOf(t, n))))))));
}

function drawnBlock(block) {
  const rows = lines(block.source);
  const body = [];
  let start = 0;
  for (const piece of block.pieces) {
    body.push(drawnPiece(block, piece, start));
    start += piece.size;
  }
  const rest = rows.slice(start);
  const symbols = Object.entries(block.symbols || {});
  return [
    h('header', {},
      h('h3', {}, h('a', { href: href(block.fn, block) }, block.name)), badge(block.verdict), block.missed && h('span', { class: 'badge missed' }, 'not run'),
      h('span', { class: 'ways' }, block.next.map(([to, kind]) => h('a', { href: href(block.fn, block.fn.blocks[to]), class: kind },
        h('span', {}, kind), ' ', block.fn.blocks[to].name)))),
    symbols.length > 0 && h('p', { class: 'symbols' }, symbols.map(([name, place]) => h('span', {}, h('b', {}, name), ' ', place))),
    body,
    h('div', { class: 'piece rest' },
      h('ol', { class: 'code source' }, rest.map((line, n) => h('li', {},
        h('span', { class: 'offset' }, block.offsets[start + n]?.toString(16)), codeLine(line)))),
      s('svg', { class: 'lines', 'aria-hidden': 'true' }),
      h('p', { class: 'end' }, `→ ${block.end} `, rest.length > 0 && h('small', {}, 'by stitching'))),
    drawnTries(block),
  ];
}

// --- alignment ---

/** Show what the instruction `row` of a piece is aligned with; null: nothing. */
function align(row) {
  for (const node of document.querySelectorAll('.piece.lit')) {
    node.classList.remove('lit');
    node.querySelector('svg').replaceChildren();
    for (const li of node.querySelectorAll('li')) { li.classList.remove('on'); li.style.removeProperty('--share'); }
  }
  const node = row?.closest('.piece.aligned');
  if (!node) return;
  const section = row.closest('section.block');
  const block = blockOf(section), piece = block.pieces[[...section.querySelectorAll('.piece:not(.rest)')].indexOf(node)];
  const isTarget = row.parentNode.classList.contains('target'), n = Number(row.dataset.n);
  const [source, target] = [...node.querySelectorAll('ol')].map((list) => [...list.children]);
  const canvas = node.querySelector('svg'), area = canvas.getBoundingClientRect();
  const middle = (li) => { const box = li.getBoundingClientRect(); return box.top + Math.min(box.height, 20) / 2 - area.top; };
  node.classList.add('lit');
  row.classList.add('on');
  for (const [to, from, share] of piece.align) {
    if ((isTarget ? to : from) !== n || !source[from] || !target[to]) continue;
    const other = isTarget ? source[from] : target[to];
    other.classList.add('on');
    other.style.setProperty('--share', `${share}%`);
    const [y, z, w] = [middle(source[from]), middle(target[to]), area.width];
    canvas.append(s('path', { d: `M0 ${y}C${w / 2} ${y} ${w / 2} ${z} ${w} ${z}`, 'stroke-width': 0.6 + share / 40, opacity: 0.25 + share / 134 }));
  }
}

/** The next (or previous) instruction of the translation, from the one that is shown. */
function step(section, by) {
  const rows = [...section.querySelectorAll('.piece.aligned .target li')];
  const now = rows.findIndex((li) => li.classList.contains('on') && li.closest('.lit') && !li.style.getPropertyValue('--share'));
  const row = rows[now < 0 ? (by > 0 ? 0 : rows.length - 1) : now + by];
  align(row || null);
  row?.scrollIntoView({ block: 'nearest' });
}
