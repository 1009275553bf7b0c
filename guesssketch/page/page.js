// The page: which function and block is looked at, the list of functions, filters, keys.

const ROW = 46;
const list = $('list'), main = $('main');
let view = { fn: null, block: 0, blocks: [] };  // blocks: of the function, those that are wanted
const sections = new Map();  // block number -> its section
const blockOf = (section) => view.fn.blocks[Number(section.dataset.block)];

const setRows = longList(list, ROW, ({ fn, blocks }) => h('a', { href: href(fn), 'aria-current': fn === view.fn ? 'page' : null },
  h('span', { class: 'name' }, fn.name),
  h('span', { class: 'about' }, verdictBar(blocks),
    blocks.length === fn.blocks.length ? plural(blocks.length, 'block') : `${blocks.length} of ${plural(fn.blocks.length, 'block')}`,
    data.objects.length > 1 && h('span', { class: 'object' }, baseName(data.objects[fn.object])))));

function refresh() {
  find();
  setRows(found);
  const blocks = found.reduce((sum, f) => sum + f.blocks.length, 0);
  $('found').textContent = `${plural(blocks, 'block')} in ${plural(found.length, 'function')}`;
  if (view.fn) draw();
}

// --- one function ---

// Blocks are drawn when they come near the window, and taken out again when they leave it.
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) drawIn(target);
    else if (target.firstChild) {
      target.style.minHeight = `${target.offsetHeight}px`;
      target.replaceChildren();
    }
  }
}, { rootMargin: '800px 0px' });

function drawIn(section) {
  if (section.firstChild) return;
  fill(section, {}, drawnBlock(blockOf(section)));
  section.style.removeProperty('min-height');
}

function draw() {
  const { fn } = view;
  view.blocks = found.find((f) => f.fn === fn)?.blocks || [];
  watcher.disconnect();
  sections.clear();
  const [source, target] = instructions(fn.blocks);
  const hidden = fn.blocks.length - view.blocks.length;
  for (const block of view.blocks) {
    const size = 70 + 21 * Math.max(lines(block.source).length, block.pieces.reduce((sum, p) => sum + lines(p.lines).length + 1, 0));
    sections.set(block.number, h('section', { class: 'block', 'data-block': block.number, 'aria-label': `Block ${block.name}`, tabindex: -1, '--guess': `${size}px` }));
  }
  main.replaceChildren(h('article', { class: 'function' },
    h('header', { class: 'title' },
      h('h1', {}, h('code', {}, fn.name)),
      h('p', { class: 'lead' }, `${baseName(data.objects[fn.object])} · ${plural(fn.blocks.length, 'block')} · ${count(source)} instructions became ${count(target)}`,
        fn.tests && ` · tests: ${fn.tests.verdict}${fn.tests.why && ` (${fn.tests.why})`}, ${plural(fn.tests.runs, 'run')}, ${fn.tests.blocks[0]} of ${fn.tests.blocks[1]} blocks run`),
      verdictBar(fn.blocks)),
    h('div', { class: 'both' },
      h('details', { class: 'graph', open: !matchMedia('(max-width: 60rem)').matches }, h('summary', {}, 'Control flow'),
        h('p', { class: 'small', id: 'graph-note' }), h('div', { class: 'canvas', id: 'canvas' })),
      h('div', { class: 'blocks' },
        h('p', { class: 'heads', 'aria-hidden': 'true' }, h('span', {}, 'x86-64'), h('span', {}, TARGETS[data.target])),
        hidden > 0 && h('p', { class: 'small' }, `${plural(hidden, 'block')} not shown by the filter. `, h('button', { type: 'button', onclick: clearFilters }, 'Show all')),
        [...sections.values()]))));
  for (const section of sections.values()) watcher.observe(section);
  drawGraph();
}

function drawGraph() {
  const wantedHere = new Set(view.blocks);
  const { picture, note } = graph(view.fn, view.block, (b) => wantedHere.has(b), $('canvas').clientWidth || 340);
  $('canvas').replaceChildren(picture);
  $('graph-note').textContent = note;
  mark();
}

/** Mark the chosen block in the graph and in the list. */
function mark() {
  for (const node of document.querySelectorAll('.node.here, .block.here')) node.classList.remove('here');
  sections.get(view.block)?.classList.add('here');
  const node = document.querySelector(`.node[data-block="${view.block}"]`), canvas = $('canvas');
  if (!node) return;
  node.classList.add('here');
  const box = node.getBoundingClientRect(), seen = canvas.getBoundingClientRect();
  if (box.top < seen.top || box.bottom > seen.bottom) canvas.scrollTop += box.top - seen.top - seen.height / 2;
  if (box.left < seen.left || box.right > seen.right) canvas.scrollLeft += box.left - seen.left - seen.width / 2;
}

// --- where we are: "#", "#function" or "#function.block" ---

let shown = null;  // the place that is drawn

/** Go there at once: the next key may come before the browser tells of the change. */
function visit(place) {
  location.hash = place;
  go();
}

function go() {
  if (location.hash === shown) return;
  shown = location.hash;
  const [, fn, block] = /^#(\d+)(?:\.(\d+))?$/.exec(location.hash) || [];
  const next = functions[fn];
  document.body.classList.remove('choosing');
  $('menu').setAttribute('aria-expanded', 'false');
  const isOther = next !== view.fn;
  view.block = next?.blocks[block] ? Number(block) : 0;
  if (!next) {
    view.fn = null;
    watcher.disconnect();
    main.replaceChildren(overview());
  } else if (isOther) {
    view.fn = next;
    draw();
  } else if (next.blocks.length > LARGEST) drawGraph();
  else mark();
  document.title = next ? `${next.name} – guesssketch report` : 'guesssketch report';
  if (isOther) {
    list.querySelector('[aria-current]')?.removeAttribute('aria-current');
    if (next) list.querySelector(`[href="${href(next)}"]`)?.setAttribute('aria-current', 'page');
    scrollTo(0, 0);
  }
  const section = block === undefined ? null : sections.get(view.block);
  if (section) {
    for (let near = view.block - 8; near < view.block + 8; near++) if (sections.has(near)) drawIn(sections.get(near));
    section.scrollIntoView({ block: 'start' });
    section.focus({ preventScroll: true });
  }
}

function move(by) {
  if (!view.fn) return moveFunction(0);
  const at = view.blocks.findIndex((b) => b.number >= view.block);
  const isHere = document.activeElement?.dataset.block !== undefined;
  const next = view.blocks[isHere ? at + by : Math.max(at, 0)];
  if (next) visit(href(view.fn, next));
}

function moveFunction(by) {
  const at = found.findIndex((f) => f.fn === view.fn);
  const next = found[at < 0 ? 0 : at + by];
  if (!next) return;
  visit(href(next.fn));
  reveal(list, ROW, found.indexOf(next));
}

// --- filters ---

function setFilters() {
  const labels = { all: 'all', proved: 'proved', tested: 'tested', retried: 'retried', missed: 'not run' };
  $('verdicts').append(...Object.keys(KINDS).filter((kind) => kind !== 'missed' || kindCounts.missed).map((kind) => h('label', {},
    h('input', { type: 'radio', name: 'kind', value: kind, checked: kind === 'all', onchange: () => { wanted.kind = kind; refresh(); } }),
    h('span', {}, labels[kind], ' ', h('small', {}, count(kindCounts[kind]))))));
  $('proposer').append(h('option', { value: '' }, 'any proposer'), ...proposers.map((by) => h('option', { value: by }, `by ${text(by)}`)));
  $('proposer').hidden = proposers.length < 2;
  $('proposer').addEventListener('change', (event) => { wanted.by = event.target.value === '' ? null : Number(event.target.value); refresh(); });
  let wait;
  $('search').addEventListener('input', (event) => {
    clearTimeout(wait);
    wait = setTimeout(() => { wanted.words = event.target.value; refresh(); }, 80);
  });
  $('filters').addEventListener('submit', (event) => event.preventDefault());
}

function clearFilters() {
  Object.assign(wanted, { kind: 'all', by: null, words: '' });
  $('filters').reset();
  refresh();
}

function chooseKind(n) {
  const radio = $('verdicts').querySelectorAll('input')[n];
  if (radio) radio.click();
}

// --- light and dark ---

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem('guesssketch-theme', theme); } catch { /* a file may have no storage */ }
}

function turnTheme() {
  const dark = document.documentElement.dataset.theme === 'dark'
    || (!document.documentElement.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches);
  setTheme(dark ? 'light' : 'dark');
}

// --- keys ---

const KEYS = {
  j: ['next block', () => move(1)],
  k: ['previous block', () => move(-1)],
  n: ['next function', () => moveFunction(1)],
  p: ['previous function', () => moveFunction(-1)],
  ']': ['next instruction: show its alignment', () => stepHere(1)],
  '[': ['previous instruction', () => stepHere(-1)],
  '/': ['search', () => $('search').select()],
  o: ['overview', () => visit('')],
  c: ['clear the filters', clearFilters],
  t: ['light or dark', turnTheme],
  '?': ['these keys', () => $('help').showModal()],
};

function stepHere(by) {
  const section = sections.get(view.block);
  if (section?.firstChild) step(section, by);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $('help').open) return;
  if (event.key === 'Escape') { document.activeElement?.blur(); align(null); return; }
  if (/^(?:INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== 'radio') return;
  if (/^[1-5]$/.test(event.key)) chooseKind(Number(event.key) - 1);
  else if (KEYS[event.key]) KEYS[event.key][1]();
  else return;
  event.preventDefault();
}

// --- the start ---

try { const theme = localStorage.getItem('guesssketch-theme'); if (theme) document.documentElement.dataset.theme = theme; } catch { /* no storage */ }
$('run').textContent = `${data.objects.length === 1 ? baseName(data.objects[0]) : plural(data.objects.length, 'object')} → ${TARGETS[data.target]}`;
fill($('help-keys'), {}, [...Object.entries(KINDS).filter(([kind]) => kind !== 'missed' || kindCounts.missed)
  .map(([kind], n) => [String(n + 1), `${kind === 'missed' ? 'blocks not run' : `${kind} blocks`}`]),
  ...Object.entries(KEYS).map(([key, [what]]) => [key, what]), ['Esc', 'leave the search']]
  .map(([key, what]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, what))));
setFilters();
$('theme').addEventListener('click', turnTheme);
$('keys').addEventListener('click', () => $('help').showModal());
$('menu').addEventListener('click', () => {
  const open = document.body.classList.toggle('choosing');
  $('menu').setAttribute('aria-expanded', String(open));
  if (open) $('search').focus();
});
document.addEventListener('keydown', onKey);
for (const kind of ['mouseover', 'click']) {
  main.addEventListener(kind, (event) => { const row = event.target.closest?.('.piece li'); if (row || kind === 'click') align(row); });
}
main.addEventListener('mouseleave', () => align(null));
addEventListener('hashchange', go);
refresh();
go();
