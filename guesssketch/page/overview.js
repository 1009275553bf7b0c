// What the run was, at a glance.

const TARGETS = { aarch64: 'AArch64', riscv64: 'RISC-V' };
const ROWS = 12;

function table(caption, heads, rows) {
  if (!rows.length) return null;
  return h('section', {}, h('table', {}, h('caption', {}, caption),
    h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col', class: head.startsWith('#') ? 'number' : null }, head.replace('#', ''))))),
    h('tbody', {}, rows.map((row) => h('tr', {}, row.map((cell, n) => h('td', { class: heads[n].startsWith('#') ? 'number' : null }, cell)))))));
}

const listed = (title, items) => (items.length ? h('section', {}, h('h2', {}, title), h('ul', { class: 'plain' }, items.map((item) => h('li', {}, item)))) : null);

const link = (block) => h('a', { href: href(block.fn, block) }, h('code', {}, `${block.fn.name}+${block.name}`));

function verdictBar(blocks) {
  const by = Object.fromEntries(tally(blocks, (b) => b.verdict));
  return bar(VERDICTS.map((v) => [v, by[v] || 0, `${v}: ${by[v] || 0}`]), VERDICTS.map((v) => `${by[v] || 0} ${v}`).join(', '));
}

function instructions(blocks) {
  const pieces = blocks.flatMap((b) => b.pieces);
  const source = pieces.reduce((sum, p) => sum + p.size, 0);
  const target = pieces.reduce((sum, p) => sum + lines(p.lines).filter((line) => !line.endsWith(':')).length, 0);
  return [source, target];
}

function byProposer() {
  const rows = proposers.map((by) => {
    const pieces = allPieces.filter((p) => p.by === by);
    const refused = everyBlock.reduce((sum, b) => sum + b.tries.filter((t) => t.by === by).length, 0);
    return [text(by), count(pieces.length), percent(pieces.length, allPieces.length), count(refused),
            duration(pieces.reduce((sum, p) => sum + p.seconds, 0))];
  });
  return table('Proposers', ['proposer', '#accepted', '#share', '#not accepted', '#judged in'], rows);
}

function coverage() {
  const tested = functions.filter((fn) => fn.tests);
  if (!tested.length) return null;
  const [covered, all] = [0, 1].map((n) => tested.reduce((sum, fn) => sum + fn.tests.blocks[n], 0));
  const verdicts = tally(tested, (fn) => fn.tests.verdict).map(([verdict, n]) => `${n} ${verdict}`).join(', ');
  return table(`Tests: ${plural(tested.length, 'function')}, ${verdicts}; ${percent(covered, all)} of blocks run`,
    ['function', 'verdict', '#runs', '#blocks run'],
    [...tested].sort((a, b) => (a.tests.verdict === 'different' ? -1 : 0) - (b.tests.verdict === 'different' ? -1 : 0)
      || a.tests.blocks[0] / (a.tests.blocks[1] || 1) - b.tests.blocks[0] / (b.tests.blocks[1] || 1)).slice(0, ROWS)
      .map((fn) => [h('a', { href: href(fn) }, h('code', {}, fn.name)), h('span', { class: `badge ${fn.tests.verdict}` }, fn.tests.verdict), count(fn.tests.runs),
                    `${fn.tests.blocks[0]} of ${fn.tests.blocks[1]}`]));
}

function overview() {
  const [source, target] = instructions(everyBlock);
  const verdicts = Object.fromEntries(tally(everyBlock, (b) => b.verdict));
  const slowest = everyBlock.filter((b) => b.pieces.length).sort((a, b) => b.seconds - a.seconds).slice(0, ROWS);
  const unsure = everyBlock.filter((b) => b.sure !== undefined).sort((a, b) => a.sure - b.sure).slice(0, ROWS);
  const reasons = tally(allPieces.filter((p) => p.why !== undefined), (p) => p.why);
  const assumes = tally(allPieces, (p) => p.assumes || []), upto = tally(allPieces, (p) => p.upto || []);
  const stages = Object.entries(data.seconds), longest = Math.max(...stages.map(([, t]) => t), 0.001);
  return h('article', { class: 'overview' },
    h('h1', {}, data.objects.length === 1 ? baseName(data.objects[0]) : plural(data.objects.length, 'object')),
    h('p', { class: 'lead' }, `x86-64 to ${TARGETS[data.target]}: ${plural(functions.length, 'function')}, ${plural(everyBlock.length, 'block')}; `
      + `${count(source)} instructions became ${count(target)}${source ? `, ${(target / source).toFixed(2)} for one` : ''}.`),
    h('dl', { class: 'figures' }, [...VERDICTS, 'retried'].map((v) => [v, v === 'retried' ? kindCounts.retried : verdicts[v] || 0]).map(([v, n]) => h('div', { class: v },
      h('dt', {}, v), h('dd', {}, count(n), h('small', {}, percent(n, everyBlock.length)))))),
    verdictBar(everyBlock),
    h('p', { class: 'small' }, 'Proved: equal for all inputs. Tested: no difference on 1,000 random states. Stitched: nothing but a jump, call or return. ',
      'Retried: candidates were turned down first, or holes filled. A block counts as its weakest piece.'),
    listed('Warnings', data.warnings),
    h('div', { class: 'columns' },
      byProposer(),
      coverage(),
      table('Slowest blocks', ['block', 'verdict', '#judged in'], slowest.map((b) => [link(b), badge(b.verdict), duration(b.seconds)])),
      table('Least certain blocks', ['block', 'verdict', '#confidence'], unsure.map((b) => [link(b), badge(b.verdict), b.sure.toFixed(2)])),
      table('Why not proved', ['reason', '#pieces'], reasons.slice(0, ROWS).map(([n, times]) => [text(n), count(times)])),
      table('Assumptions of proofs', ['assumption', '#pieces'], assumes.slice(0, ROWS).map(([n, times]) => [text(n), count(times)])),
      table('Proved up to', ['approximation', '#pieces'], upto.slice(0, ROWS).map(([n, times]) => [text(n), count(times)])),
      table('Time', ['stage', '', '#wall'], stages.map(([stage, t]) => [stage, h('span', { class: 'meter', '--share': t / longest }), duration(t)])),
      table('Objects', ['object', '', '#functions', '#blocks'], data.objects.length > 1 ? data.objects.map((name, n) => {
        const own = functions.filter((fn) => fn.object === n), blocks = own.flatMap((fn) => fn.blocks);
        return [baseName(name), verdictBar(blocks), count(own.length), count(blocks.length)];
      }) : []),
      table('Made with', ['engine', 'version'], [...Object.entries(data.engines), ...Object.entries(data.options).map(([k, v]) => [k.replace('_', ' '), v])])),
    listed('Assumptions of the run', data.assumptions));
}
