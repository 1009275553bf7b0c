-- JSON, full text search, r-trees, generated data in bulk, temporary and WITHOUT ROWID tables, WAL.
.mode list
SELECT json('{"a" : [1, 2.5, {"b": null}], "c":"\u00e9\n"}'), json_extract('{"a":[1,2,{"b":"x"}]}', '$.a[2].b', '$.a[#-2]'), '{"a":{"b":5}}' -> '$.a', '{"a":{"b":5}}' ->> '$.a.b';
SELECT json_array(1, 'x', NULL, json('[2]')), json_object('k', 1.5, 'l', 'm'), json_set('{"a":1}', '$.b', 2, '$.a', 'z'), json_insert('[1,2]', '$[#]', 3), json_remove('{"a":1,"b":2}', '$.a'), json_patch('{"a":1,"c":3}', '{"a":null,"b":2}'), json_replace('{"a":1}', '$.a', 5, '$.x', 1), json_type('{"a":[1.5]}', '$.a[0]'), json_valid('{bad'), json_quote('q"uote'), json_array_length('[1,[2,3],4]');
SELECT key, value, type, atom, fullkey FROM json_tree('{"p":[10,{"q":true}],"r":"s"}') ORDER BY id;
SELECT json_group_array(value * 2) FROM json_each('[1,2,3,4.5]');
SELECT json_extract('{"a":', '$.a');
CREATE VIRTUAL TABLE document USING fts5(title, body, tokenize = 'porter unicode61', prefix = '2 3');
INSERT INTO document VALUES('Running', 'The runner runs quickly through the running water'), ('Cats', 'A cat and another cats chase the mice, naïve café'), ('Databases', 'Searching text in a database is fast; searches rank by bm25'), ('Water', 'Water is wet and runs downhill');
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 150) INSERT INTO document SELECT 'Page ' || i, 'word' || (i % 17) || ' term' || (i * i % 23) || ' common filler text number ' || i FROM n;
SELECT rowid, highlight(document, 1, '[', ']'), round(bm25(document), 4) FROM document WHERE document MATCH 'run' ORDER BY rank;
SELECT count(*) FROM document WHERE document MATCH 'word3 AND term9'; SELECT count(*) FROM document WHERE document MATCH 'common NOT word5'; SELECT title FROM document WHERE document MATCH '"water is"'; SELECT title FROM document WHERE document MATCH 'title:cat*'; SELECT snippet(document, 1, '<', '>', '...', 5) FROM document WHERE document MATCH 'NEAR(text database, 3)'; SELECT title FROM document WHERE document MATCH 'cafe';
DELETE FROM document WHERE rowid % 5 = 0; UPDATE document SET body = 'replaced entirely' WHERE rowid = 7; SELECT count(*) FROM document WHERE document MATCH 'common'; INSERT INTO document(document) VALUES('optimize'); INSERT INTO document(document) VALUES('integrity-check'); SELECT title FROM document WHERE document MATCH 'entire*';
SELECT title FROM document WHERE document MATCH 'bad AND (';
CREATE VIRTUAL TABLE place USING rtree(id, x0, x1, y0, y1);
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO place SELECT i, i * 37 % 101, i * 37 % 101 + 2.5, i * 53 % 97, i * 53 % 97 + 1.25 FROM n;
SELECT count(*), min(id), max(id) FROM place WHERE x0 >= 20 AND x1 <= 40 AND y0 >= 10 AND y1 <= 60; DELETE FROM place WHERE id % 7 = 0; SELECT count(*), round(sum(x1 - x0), 3) FROM place WHERE x0 < 50;
CREATE TABLE bulk(k INT, v TEXT, r REAL, b BLOB); CREATE INDEX bulk_k ON bulk(k); CREATE INDEX bulk_expression ON bulk(length(v), lower(v)) WHERE r > 100;
BEGIN; WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 6000) INSERT INTO bulk SELECT i * 7919 % 10007, 'Text ' || hex(i * 12345), i * 1.5 / (1 + i % 7), zeroblob(i % 40) FROM n; COMMIT;
SELECT count(*), count(DISTINCT k), sum(length(v)), round(sum(r), 4), sum(length(b)) FROM bulk; SELECT k, v FROM bulk WHERE k BETWEEN 100 AND 110 ORDER BY k; SELECT v, r FROM bulk ORDER BY r DESC, v LIMIT 5; SELECT a.k, count(*) FROM bulk a JOIN bulk b ON b.k = a.k + 1 GROUP BY a.k % 5 ORDER BY 1;
UPDATE bulk SET v = v || '!', r = r / 3 WHERE k % 11 = 4; DELETE FROM bulk WHERE k > 9000; SELECT count(*), round(total(r), 3), max(v) FROM bulk; SELECT length(v) AS n, count(*) FROM bulk WHERE r > 100 GROUP BY n ORDER BY n;
CREATE TABLE pair(a TEXT, b INT, c, PRIMARY KEY(b, a)) WITHOUT ROWID, STRICT;
CREATE TABLE pair(a TEXT, b INT, c ANY, PRIMARY KEY(b, a)) WITHOUT ROWID, STRICT; INSERT INTO pair SELECT v, k, r FROM bulk WHERE k < 60; INSERT INTO pair VALUES('x', 'not a number', 1); SELECT * FROM pair ORDER BY b DESC LIMIT 4;
PRAGMA journal_mode = WAL; CREATE TEMP TABLE scratch AS SELECT k % 10 AS g, r FROM bulk; SELECT g, count(*), round(avg(r), 4) FROM scratch GROUP BY g; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;
PRAGMA page_count; PRAGMA auto_vacuum; PRAGMA page_size = 1024; VACUUM; PRAGMA page_size; PRAGMA integrity_check; PRAGMA quick_check;
SELECT name, sum(ncell) > 0 FROM dbstat GROUP BY name LIMIT 1;
SELECT unhex('41');
SELECT sqrt(2), pow(2, 10), ln(10), pi(), degrees(1), mod(7, 3), ceil(1.2), trunc(-1.7), sin(1), atan2(1, 2);
