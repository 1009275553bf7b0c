-- Tables, joins, indices, aggregates, windows, recursive queries, triggers, views, dates, strings, numbers.
.headers on
.mode list
PRAGMA foreign_keys = ON;
CREATE TABLE author(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, born INT CHECK (born > 1000));
CREATE TABLE book(id INTEGER PRIMARY KEY AUTOINCREMENT, author INT REFERENCES author ON DELETE CASCADE, title TEXT COLLATE NOCASE, price REAL DEFAULT 9.5, pages INT,
    cents INT GENERATED ALWAYS AS (CAST(round(price * 100) AS INT)) VIRTUAL);
CREATE TABLE log(what TEXT, n INT);
CREATE INDEX book_author ON book(author, price DESC);
CREATE UNIQUE INDEX book_title ON book(title, author) WHERE pages > 100;
CREATE VIEW listing AS SELECT a.name, b.title, b.price FROM author a LEFT JOIN book b ON b.author = a.id;
CREATE TRIGGER book_in AFTER INSERT ON book WHEN new.price > 15 BEGIN INSERT INTO log VALUES('dear ' || new.title, new.pages); END;
CREATE TRIGGER book_up BEFORE UPDATE OF price ON book BEGIN INSERT INTO log VALUES('price', old.price * 100 + new.price); END;
CREATE TRIGGER listing_in INSTEAD OF INSERT ON listing BEGIN INSERT INTO book(author, title, price) SELECT id, new.title, new.price FROM author WHERE name = new.name; END;
INSERT INTO author VALUES(1, 'Ada', 1815), (2, 'Blaise', 1623), (3, 'Carl', 1777), (4, 'Daniel', 1700), (5, 'Emmy', 1882);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO book(author, title, price, pages) SELECT 1 + i % 4, 'Volume ' || i, 5 + (i * 37 % 23) * 0.75, 50 + i * 13 % 400 FROM n;
INSERT INTO listing VALUES('Emmy', 'Ideals', 30.25);
INSERT INTO author VALUES(6, 'Ada', 1900);
INSERT INTO author VALUES(7, 'Old', 5);
INSERT INTO book(author, title) VALUES(99, 'Nobody');
INSERT OR IGNORE INTO author VALUES(1, 'Again', 1900);
INSERT INTO author VALUES(1, 'Ada', 1815) ON CONFLICT(id) DO UPDATE SET born = born + 1 RETURNING id, born;
UPDATE book SET price = price * 1.1 WHERE author = 2 AND pages BETWEEN 100 AND 200;
SELECT count(*), sum(n), min(what), max(what) FROM log;
SELECT name, count(b.id) AS books, round(avg(price), 3) AS mean, total(pages) FROM author a LEFT JOIN book b ON b.author = a.id GROUP BY a.id HAVING mean > 3 OR mean IS NULL ORDER BY mean DESC, name;
SELECT a.name, b.title, c.title FROM author a JOIN book b ON b.author = a.id JOIN book c ON c.author = a.id AND c.price = b.price AND c.id > b.id ORDER BY 1, 2, 3;
SELECT title FROM book WHERE title LIKE 'volume 1%' AND title NOT GLOB '*9' ORDER BY length(title), title DESC LIMIT 6 OFFSET 1;
SELECT x.name, y.price FROM author x FULL JOIN (SELECT author, max(price) AS price FROM book GROUP BY author) y ON y.author = x.id ORDER BY x.id;
SELECT id, price, row_number() OVER w, rank() OVER (PARTITION BY author ORDER BY price), dense_rank() OVER (ORDER BY price DESC), lag(price, 1, 0) OVER w, lead(id) OVER w,
    round(sum(price) OVER (PARTITION BY author ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), 2), ntile(3) OVER w, first_value(title) OVER w, percent_rank() OVER w, group_concat(id, '-') FILTER (WHERE id % 2) OVER (ORDER BY id RANGE BETWEEN 3 PRECEDING AND 1 FOLLOWING)
    FROM book WHERE author < 3 WINDOW w AS (PARTITION BY author ORDER BY id) ORDER BY id LIMIT 20;
WITH RECURSIVE tree(id, parent, path) AS (SELECT 1, NULL, '1' UNION ALL SELECT tree.id * 2 + k, tree.id, path || '/' || (tree.id * 2 + k) FROM tree, (SELECT 0 AS k UNION SELECT 1) WHERE tree.id < 8) SELECT * FROM tree ORDER BY path;
WITH RECURSIVE mandel(cx, cy, x, y, n) AS (SELECT xs.v, ys.v, 0.0, 0.0, 0 FROM (WITH RECURSIVE r(v) AS (VALUES(-2.0) UNION ALL SELECT v + 0.1 FROM r WHERE v < 0.9) SELECT v FROM r) xs, (WITH RECURSIVE r(v) AS (VALUES(-1.0) UNION ALL SELECT v + 0.25 FROM r WHERE v < 0.9) SELECT v FROM r) ys
    UNION ALL SELECT cx, cy, x * x - y * y + cx, 2 * x * y + cy, n + 1 FROM mandel WHERE x * x + y * y < 4 AND n < 20) SELECT group_concat(substr(' .:-=+*#%@$', 1 + m / 2, 1), '') FROM (SELECT max(n) AS m, cx, cy FROM mandel GROUP BY cy, cx ORDER BY cy, cx) GROUP BY cy;
SELECT * FROM book WHERE id IN (SELECT id FROM book INTERSECT SELECT n FROM (SELECT 3 AS n UNION SELECT 5 UNION SELECT 500)) ORDER BY id;
SELECT name FROM author EXCEPT SELECT name FROM listing WHERE price > 10;
SELECT EXISTS(SELECT 1 FROM book WHERE price > 30), (SELECT name FROM author WHERE id = (SELECT author FROM book ORDER BY price DESC LIMIT 1));
SELECT CASE author WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'many' END AS k, count(*) FROM book GROUP BY k ORDER BY k;
SELECT date('2024-02-29', '+1 year'), strftime('%j %W %s %Y-%m-%dT%H:%M:%f', '2023-07-14 12:34:56.789'), julianday('2000-01-01 12:00'), datetime(1e9, 'unixepoch'), time('23:59:59', '+2 seconds'), date('2024-01-31', 'start of month', '+1 month', '-1 day', 'weekday 0');
SELECT 7 / 2, -7 / 2, 7 % -3, 7.0 / 2, 1 / 0, 9223372036854775807 + 1, -9223372036854775808 / -1, 5 << 62, -5 >> 1, ~5, 6 & 3 | 8, 1e400, -1e400, 0.1 + 0.2, 1e15 + 0.3, 123456789012345678;
SELECT abs(-5.5), round(2.567, 2), round(-2.5), max(1, 'a', x'00'), min(3, 2.5), hex(zeroblob(3)), quote(x'0102ff'), typeof(1.0), typeof(NULL), coalesce(NULL, 5), nullif(3, 3), iif(1 > 2, 'a', 'b'), random() IS NULL;
SELECT substr('hello', -3, 2), instr('hello', 'l'), replace('banana', 'an', 'AN'), trim('  x '), ltrim('xxabc', 'x'), upper('straße'), length('straße'), unicode('€'), char(72, 8364), printf('%05d|%-8s|%8.3f|%x|%e|%,d|%q|%c|%+.2g', 42, 'left', 3.14159, 255, 12345.678, 1234567, 'it''s', 'z', 0.00012345);
SELECT CAST('12abc' AS INT), CAST('1e3' AS REAL), CAST(3.99 AS INT), CAST(x'414243' AS TEXT), CAST('9223372036854775808' AS INT), '10' + '0x10', '5' < 10, 5 < '10', 'a' < 'B' COLLATE NOCASE, 1 IS NOT NULL, NULL IS NULL, 'abc' LIKE 'A_c', 'x' BETWEEN 'a' AND 'z', 2 IN (1, 2, NULL), 3 IN (1, NULL);
SELECT 1.7976931348623157e308, 2.2250738585072014e-308, 4.9e-324, 123456.789e3, 0.1, 1.0, 100.0, 1e21, 1e-7, 3.0e10, 1234567890123456.7, -0.0;
SELECT sum(x), avg(x), count(DISTINCT x % 10), group_concat(DISTINCT x % 4) FROM (WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 500) SELECT x FROM c);
EXPLAIN QUERY PLAN SELECT * FROM author a JOIN book b ON b.author = a.id WHERE b.price > 10 ORDER BY a.name;
SAVEPOINT one; DELETE FROM author WHERE id = 1; SELECT count(*) FROM book; ROLLBACK TO one; SELECT count(*) FROM book; RELEASE one;
BEGIN; DELETE FROM book WHERE id % 3 = 0; SELECT count(*) FROM book; COMMIT;
ALTER TABLE author ADD COLUMN note TEXT DEFAULT 'none'; ALTER TABLE author RENAME COLUMN note TO remark; ALTER TABLE log RENAME TO journal; SELECT * FROM author;
ATTACH ':memory:' AS other; CREATE TABLE other.copy AS SELECT title, price FROM book; SELECT count(*), sum(price) FROM other.copy; DETACH other;
SELECT syntax FROM; SELECT * FROM missing; SELECT abs(); SELECT 1 +; SELECT "unclosed
;";
VACUUM; PRAGMA integrity_check; PRAGMA foreign_key_check; REINDEX; ANALYZE; SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY 1, 2;
SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name;
.mode csv
SELECT * FROM journal LIMIT 3;
.mode json
SELECT id, title, price FROM book LIMIT 2;
.mode box
SELECT id, name FROM author LIMIT 3;
.mode insert made
SELECT id, price, NULL, x'ff' FROM book LIMIT 2;
.dump author
