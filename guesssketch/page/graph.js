// Control-flow graphs in layers: Sugiyama, Tagawa and Toda 1981, each step in its simplest form.

const NODE = { width: 92, height: 30, layer: 58, gap: 16 };
const LARGEST = 240;  // blocks; of a larger function the surroundings of one block are drawn
const AROUND = 60;

/** Layers of nodes 0..count-1: {nodes: [{x, y}], edges: [{points: [[x, y]], kind, back}], width, height}. */
function layered(size, edges) {
  const back = backEdges(size, edges);
  const down = edges.map(([from, to, kind], n) => ({ kind, back: back[n], top: back[n] ? to : from, end: back[n] ? from : to }));
  const rank = ranks(size, down.filter((e) => e.top !== e.end));
  const cells = rank.map((r) => ({ rank: r, width: NODE.width, above: [], below: [] }));
  for (const edge of down) {
    edge.path = [edge.top];
    if (edge.top === edge.end) continue;
    for (let r = rank[edge.top] + 1; r < rank[edge.end]; r++) edge.path.push(cells.push({ rank: r, width: 6, above: [], below: [] }) - 1);
    edge.path.push(edge.end);
    for (let i = 1; i < edge.path.length; i++) {
      cells[edge.path[i - 1]].below.push(edge.path[i]);
      cells[edge.path[i]].above.push(edge.path[i - 1]);
    }
  }
  const layers = [];
  cells.forEach((cell, n) => (layers[cell.rank] ||= []).push(n));
  order(layers, cells);
  place(layers, cells);
  const left = Math.min(...cells.map((c) => c.x - c.width / 2)) - 14;
  for (const cell of cells) { cell.x -= left; cell.y = 12 + cell.rank * NODE.layer; }
  return {
    nodes: cells.slice(0, size),
    edges: down.map((e) => ({ kind: e.kind, back: e.back, loop: e.top === e.end, points: e.path.map((n) => [cells[n].x, cells[n].y]) })),
    width: Math.max(...cells.map((c) => c.x + c.width / 2)) + 26,
    height: 24 + (layers.length - 1) * NODE.layer + NODE.height,
  };
}

/** Which edges go back to a node that is still open in a depth-first walk from node 0 (then from any that was not met). */
function backEdges(size, edges) {
  const out = Array.from({ length: size }, () => []);
  edges.forEach(([from], n) => out[from].push(n));
  const state = new Uint8Array(size), back = new Array(edges.length).fill(false);
  for (let root = 0; root < size; root++) {
    if (state[root]) continue;
    const stack = [[root, 0]];
    state[root] = 1;
    while (stack.length) {
      const top = stack[stack.length - 1];
      if (top[1] === out[top[0]].length) { state[top[0]] = 2; stack.pop(); continue; }
      const edge = out[top[0]][top[1]++], to = edges[edge][1];
      if (state[to] === 1) back[edge] = true;
      else if (!state[to]) { state[to] = 1; stack.push([to, 0]); }
    }
  }
  return back;
}

/** The longest way from any start, in edges. */
function ranks(size, down) {
  const rank = new Array(size).fill(0), waits = new Array(size).fill(0), out = Array.from({ length: size }, () => []);
  for (const { top, end } of down) { waits[end]++; out[top].push(end); }
  const ready = [...rank.keys()].filter((n) => !waits[n]);
  while (ready.length) {
    const n = ready.pop();
    for (const to of out[n]) {
      rank[to] = Math.max(rank[to], rank[n] + 1);
      if (!--waits[to]) ready.push(to);
    }
  }
  return rank;
}

/** Order each layer by the mean position of neighbours, downward and upward in turn. */
function order(layers, cells) {
  const number = () => layers.forEach((layer) => layer.forEach((n, at) => { cells[n].at = at; }));
  const mean = (list) => list.reduce((sum, n) => sum + cells[n].at, 0) / list.length;
  number();
  for (let sweep = 0; sweep < 12; sweep++) {
    const side = sweep % 2 ? 'below' : 'above';
    for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
      for (const n of layer) cells[n].want = cells[n][side].length ? mean(cells[n][side]) : cells[n].at;
      layer.sort((a, b) => cells[a].want - cells[b].want || cells[a].at - cells[b].at);
      layer.forEach((n, at) => { cells[n].at = at; });
    }
  }
}

/** x of each cell: near its neighbours' mean, in order and apart (least squares by pooling adjacent violators). */
function place(layers, cells) {
  for (const layer of layers) layer.forEach((n, at) => { cells[n].x = (at - (layer.length - 1) / 2) * (NODE.width + NODE.gap); });
  for (let pass = 0; pass < 10; pass++) {
    for (const layer of pass % 2 ? [...layers].reverse() : layers) {
      const pools = [];
      let offset = 0;
      layer.forEach((n, i) => {
        const cell = cells[n], near = [...cell.above, ...cell.below];
        if (i) offset += (cells[layer[i - 1]].width + cell.width) / 2 + NODE.gap;
        cell.offset = offset;
        const want = near.length ? near.reduce((sum, m) => sum + cells[m].x, 0) / near.length : cell.x;
        pools.push({ sum: want - offset, size: 1 });
        for (let p = pools.length - 1; p > 0 && pools[p - 1].sum / pools[p - 1].size >= pools[p].sum / pools[p].size; p--) {
          pools[p - 1].sum += pools[p].sum;
          pools[p - 1].size += pools[p].size;
          pools.pop();
        }
      });
      let i = 0;
      for (const pool of pools) for (let k = 0; k < pool.size; k++, i++) cells[layer[i]].x = pool.sum / pool.size + cells[layer[i]].offset;
    }
  }
}

/** The blocks nearest to `start`, along edges in both directions, in their order. */
function surroundings(fn, start) {
  const near = fn.blocks.map(() => []);
  for (const b of fn.blocks) for (const [to] of b.next) { near[b.number].push(to); near[to].push(b.number); }
  const seen = new Set([start]);
  for (const n of seen) {
    for (const to of near[n]) if (seen.size < AROUND) seen.add(to);
    if (seen.size >= AROUND) break;
  }
  return [...seen].sort((a, b) => a - b);
}

/** The drawing of a function, or of what is around block `current` in a large one, for a place that is `room` pixels wide. */
function graph(fn, current, isWanted, room) {
  const whole = fn.blocks.length <= LARGEST;
  const shown = whole ? fn.blocks.map((b) => b.number) : surroundings(fn, current);
  const at = new Map(shown.map((number, n) => [number, n]));
  const edges = shown.flatMap((number, n) => fn.blocks[number].next
    .filter(([to]) => at.has(to)).map(([to, kind]) => [n, at.get(to), kind]));
  const { nodes, edges: drawn, width, height } = layered(shown.length, edges);
  const scale = Math.min(1, Math.max(0.8, room / width));
  const picture = s('svg', { width: width * scale, height: height * scale, viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': 'Control-flow graph' },
    s('defs', {}, ['plain', 'taken', 'back'].map((kind) => s('marker',
      { id: `tip-${kind}`, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse' },
      s('path', { d: 'M0 0.8 8 4 0 7.2z', class: `tip ${kind}` })))),
    drawn.map(drawnEdge),
    shown.map((number, n) => drawnNode(fn.blocks[number], nodes[n], isWanted(fn.blocks[number]))));
  return { picture, note: whole ? '' : `${AROUND} of ${plural(fn.blocks.length, 'block')}, around the chosen one` };
}

function drawnEdge({ points, kind, back, loop }) {
  const { width, height } = NODE;
  const look = back ? 'back' : kind === 'taken' ? 'taken' : 'plain';
  if (loop) {
    const [[x, y]] = points, side = x + width / 2;
    return s('path', { class: 'edge back', 'marker-end': 'url(#tip-back)', d: `M${side} ${y + 22}c18 0 18 -14 1 -14` });
  }
  const port = back ? 22 : 0;  // what goes back leaves and enters beside what goes on
  let d = '';
  points.forEach(([x, y], n) => {
    if (!n) d = `M${x + port} ${y + height}`;
    else {
      const [px, py] = points[n - 1], isFirst = n === 1, isLast = n === points.length - 1;
      const [from, to] = [isFirst ? py + height : py + height / 2, isLast ? y : y + height / 2];
      const [left, right] = [isFirst ? px + port : px, isLast ? x - port : x];
      d += `C${left} ${(from + to) / 2} ${right} ${(from + to) / 2} ${right} ${to}`;
    }
  });
  return s('path', { class: `edge ${look}`, d, [back ? 'marker-start' : 'marker-end']: `url(#tip-${look})` });
}

function drawnNode(block, { x, y }, isWanted) {
  const size = lines(block.source).length;
  const state = `${block.verdict}${isWanted ? '' : ' dim'}${block.missed ? ' missed' : ''}`;
  return s('a', { href: href(block.fn, block), class: `node ${state}`, 'data-block': block.number,
                  transform: `translate(${x - NODE.width / 2} ${y})`, 'aria-label': `block ${block.name}, ${block.verdict}` },
    s('rect', { width: NODE.width, height: NODE.height, rx: 4, class: 'box' }),
    s('rect', { width: 4, height: NODE.height, rx: 2, class: 'edgeband' }),
    s('text', { x: 12, y: 19.5 }, block.name.length > 9 ? `${block.name.slice(0, 8)}…` : block.name),
    s('text', { x: NODE.width - 8, y: 19.5, class: 'size' }, String(size)));
}
