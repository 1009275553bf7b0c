// The data, what is worked out of it, and which blocks are wanted. Keys: data.py.

const data = JSON.parse(document.getElementById('data').textContent);
const functions = data.functions;
const VERDICTS = ['proved', 'tested', 'stitched'];
const everyBlock = [];

functions.forEach((fn, index) => {
  fn.index = index;
  fn.blocks.forEach((block, number) => {
    const pieces = block.pieces ||= [];
    block.fn = fn;
    block.number = number;
    block.next ||= [];
    block.tries ||= [];
    block.verdict = pieces.some((p) => p.verdict) ? 'tested' : pieces.length ? 'proved' : 'stitched';
    block.seconds = pieces.reduce((sum, p) => sum + p.seconds, 0);
    const told = pieces.filter((p) => p.sure !== undefined);
    block.sure = told.length ? told.reduce((product, p) => product * p.sure, 1) : undefined;
    block.repaired = block.tries.length > 0 || pieces.some((p) => p.filled?.length);
    everyBlock.push(block);
  });
});

const text = (number) => data.texts[number];
const lines = (joined) => (joined ? joined.split('\n') : []);

function tally(items, name) {
  const counts = new Map();
  for (const item of items) for (const key of [name(item)].flat()) counts.set(key, (counts.get(key) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

const allPieces = everyBlock.flatMap((b) => b.pieces);
const proposers = tally(allPieces, (p) => p.by).map(([by]) => by);

// --- what is wanted ---

const KINDS = {
  all: () => true,
  proved: (b) => b.verdict === 'proved',
  tested: (b) => b.verdict === 'tested',
  retried: (b) => b.repaired,
  missed: (b) => b.missed === true,
};
const kindCounts = Object.fromEntries(Object.entries(KINDS).map(([kind, has]) => [kind, everyBlock.filter(has).length]));
const wanted = { kind: 'all', by: null, words: '' };
let found = [];  // [{fn, blocks: those that are wanted}], by function

function searchable(block) {
  return block.searchable ??= [block.source, ...block.pieces.map((p) => p.lines), ...Object.values(block.symbols || {}), block.end]
    .join('\n').toLowerCase();
}

function find() {
  const has = KINDS[wanted.kind];
  const words = wanted.words.trim().toLowerCase();
  const plain = !words && wanted.kind === 'all' && wanted.by === null;
  found = [];
  for (const fn of functions) {
    const named = !words || fn.name.toLowerCase().includes(words);
    const blocks = plain ? fn.blocks : fn.blocks.filter((b) => has(b)
      && (wanted.by === null || b.pieces.some((p) => p.by === wanted.by))
      && (named || searchable(b).includes(words)));
    if (blocks.length) found.push({ fn, blocks });
  }
}
