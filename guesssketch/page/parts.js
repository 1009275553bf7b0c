// Elements, numbers, and a list of which only what is seen is in the document. All text becomes text nodes.

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key.startsWith('--')) node.style.setProperty(key, value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

const h = (name, props, ...children) => fill(document.createElement(name), props, children);
const s = (name, props, ...children) => fill(document.createElementNS('http://www.w3.org/2000/svg', name), props, children);
const $ = (id) => document.getElementById(id);

const count = (n) => n.toLocaleString('en');
const plural = (n, what) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;
const percent = (part, all) => (all ? `${(100 * part / all).toFixed(part === all || !part ? 0 : 1)}%` : '–');
const duration = (t) => (t >= 1 ? `${t.toFixed(1)} s` : t >= 0.001 ? `${Math.round(t * 1000)} ms` : '<1 ms');
const href = (fn, block) => (block ? `#${fn.index}.${block.number}` : `#${fn.index}`);
const baseName = (path) => path.replace(/^.*\/(?=[^/])/, '');

const badge = (verdict) => h('span', { class: `badge ${verdict}` }, verdict);

/** A bar of parts: [[class, number, title]]. */
const bar = (parts, label) => h('span', { class: 'stack', role: 'img', 'aria-label': label },
  parts.filter(([, n]) => n).map(([kind, n, title]) => h('span', { class: kind, '--share': n, title })));

/** Rows of one height in `box`, which scrolls; `draw(item)` makes one. Returns a function that takes the items. */
function longList(box, height, draw) {
  const inner = h('ol', { class: 'rows' });
  box.append(inner);
  let items = [], drawn = new Map();
  function show() {
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 6);
    const last = Math.min(items.length, Math.ceil((box.scrollTop + box.clientHeight) / height) + 6);
    for (const [n, row] of drawn) if (n < first || n >= last) { row.remove(); drawn.delete(n); }
    for (let n = first; n < last; n++) {
      if (drawn.has(n)) continue;
      const row = h('li', { '--top': `${n * height}px`, 'aria-setsize': items.length, 'aria-posinset': n + 1 }, draw(items[n]));
      drawn.set(n, row);
      inner.append(row);
    }
  }
  box.addEventListener('scroll', show, { passive: true });
  new ResizeObserver(show).observe(box);
  return (next) => {
    items = next;
    drawn = new Map();
    inner.replaceChildren();
    inner.style.height = `${items.length * height}px`;
    show();
  };
}

/** Scroll the list so that row `n` is seen. */
function reveal(box, height, n) {
  if (n * height < box.scrollTop) box.scrollTop = n * height;
  else if ((n + 1) * height > box.scrollTop + box.clientHeight) box.scrollTop = (n + 1) * height - box.clientHeight;
}
