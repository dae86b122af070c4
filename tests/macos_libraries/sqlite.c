// crate: libsqlite3-sys 0.40.0
// sources: libsqlite3-sys/sqlite3/sqlite3.c
// flags: -Ilibsqlite3-sys/sqlite3 -DSQLITE_CORE -DSQLITE_DEFAULT_FOREIGN_KEYS=1 -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_STAT4 -DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_THREADSAFE=1 -DHAVE_USLEEP=1 -DHAVE_ISNAN -DSQLITE_OMIT_LOAD_EXTENSION -pthread -lm
//
// Databases in memory and in a file: transactions, indexes, windows, recursion, text search, JSON, functions in C, two
// connections that lock each other out, threads, a log beside the file, errors.
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static int row(void *prefix, int count, char **values, char **names) {
    printf("%s", (const char *)prefix);
    for (int i = 0; i < count; i++) printf(" %s=%s", names[i], values[i] ? values[i] : "NULL");
    puts("");
    return 0;
}

static void run(sqlite3 *db, const char *sql) {
    char *error = NULL;
    int result = sqlite3_exec(db, sql, row, (void *)">", &error);
    if (result != SQLITE_OK) printf("%d: %s\n", sqlite3_extended_errcode(db), error ? error : "no message");
    sqlite3_free(error);
}

static void reversed(sqlite3_context *context, int count, sqlite3_value **values) {
    const char *text = (const char *)sqlite3_value_text(values[0]);
    char copy[100];
    int length = count && text ? (int)strlen(text) : 0;
    for (int i = 0; i < length && i < 99; i++) copy[i] = text[length - 1 - i];
    sqlite3_result_text(context, copy, length, SQLITE_TRANSIENT);
}

static void in_memory(void) {
    sqlite3 *db;
    sqlite3_open(":memory:", &db);
    sqlite3_create_function(db, "reversed", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, reversed, NULL, NULL);
    run(db, "CREATE TABLE part(id INTEGER PRIMARY KEY, name TEXT UNIQUE, weight REAL CHECK(weight > 0), of REFERENCES part)");
    run(db, "INSERT INTO part(name, weight, of) VALUES('engine', 120.5, NULL), ('piston', 1.25, 1), ('ring', 0.01, 2), ('bolt', 0.02, 1)");
    run(db, "WITH RECURSIVE tree(id, path) AS (SELECT id, name FROM part WHERE of IS NULL UNION ALL SELECT part.id, path || '/' || name "
            "FROM part JOIN tree ON of = tree.id) SELECT path FROM tree ORDER BY path");
    run(db, "SELECT name, round(sum(weight) OVER (ORDER BY id), 3) AS so_far, rank() OVER (ORDER BY weight DESC) AS rank FROM part");
    run(db, "SELECT reversed(name) AS name, printf('%08.3f|%-6s|%x', weight, 'a', id) AS text, sqrt(id) AS root FROM part WHERE id % 2");
    run(db, "INSERT INTO part(name, weight) VALUES('ring', 1)");
    run(db, "INSERT INTO part(name, weight) VALUES('none', -1)");
    run(db, "DELETE FROM part WHERE id = 1");
    run(db, "SELECT json_extract('{\"a\": [1, {\"b\": \"two\"}]}', '$.a[1].b') AS b, json_group_array(name) AS names FROM part");
    run(db, "CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES('the quick brown fox'), ('a lazy dog'), ('quick quick dogs');"
            "SELECT highlight(notes, 0, '[', ']') AS hit FROM notes WHERE notes MATCH 'quick' ORDER BY rank");
    run(db, "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1); INSERT INTO boxes VALUES(1, 0, 2, 0, 2), (2, 5, 6, 5, 6);"
            "SELECT id FROM boxes WHERE x1 > 1 AND x0 < 4");
    run(db, "SELECT date('2026-12-03', '+1 month', 'weekday 1') AS day, julianday('2000-01-01') AS julian, strftime('%j %H:%M', 0, 'unixepoch') AS t");
    run(db, "SELECT * FROM nowhere");
    run(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT sum(i * i % 7) AS sum, "
            "count(DISTINCT i % 13) AS kinds, avg(i) AS mean FROM n");
    sqlite3_stmt *insert;
    run(db, "CREATE TABLE number(value INT, text TEXT); BEGIN");
    sqlite3_prepare_v2(db, "INSERT INTO number VALUES(?1, hex(?1 * ?1))", -1, &insert, NULL);
    for (int i = 0; i < 5000; i++) {
        sqlite3_bind_int(insert, 1, i * 7919 % 5003);
        sqlite3_step(insert);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run(db, "COMMIT; CREATE INDEX by_text ON number(text, value); ANALYZE; PRAGMA integrity_check");
    run(db, "EXPLAIN QUERY PLAN SELECT value FROM number WHERE text = '31'");
    run(db, "SELECT count(*) AS count, min(value) AS least, max(text) AS last FROM number WHERE text > '32'");
    sqlite3_close(db);
}

static void *writer(void *number) {
    sqlite3 *db;
    sqlite3_open("sqlite.db", &db);
    sqlite3_busy_timeout(db, 10000);
    for (int i = 0; i < 20; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "INSERT INTO shared VALUES(%d)", 100 * *(int *)number + i);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    sqlite3_close(db);
    return NULL;
}

static void in_file(const char *journal) {
    sqlite3 *one, *two;
    char sql[100];
    sqlite3_open("sqlite.db", &one);
    snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s; CREATE TABLE shared(value INT)", journal);
    run(one, sql);
    sqlite3_open("sqlite.db", &two);
    run(one, "BEGIN IMMEDIATE; INSERT INTO shared VALUES(-1)");
    run(two, "BEGIN IMMEDIATE");
    run(one, "ROLLBACK");
    pthread_t threads[3];
    int numbers[3] = {1, 2, 3};
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, writer, &numbers[i]);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    run(two, "SELECT count(*) AS count, sum(value) AS sum FROM shared; VACUUM; PRAGMA page_count; PRAGMA integrity_check");
    sqlite3_close(two);
    sqlite3_close(one);
    sqlite3_open_v2("sqlite.db", &one, SQLITE_OPEN_READONLY, NULL);
    run(one, "INSERT INTO shared VALUES(0)");
    run(one, "SELECT max(value) AS last FROM shared");
    sqlite3_close(one);
    remove("sqlite.db");
}

int main(void) {
    printf("%s\n", sqlite3_libversion());
    remove("sqlite.db");
    in_memory();
    in_file("delete");
    in_file("wal");
    sqlite3 *db;
    printf("nowhere: %d\n", sqlite3_open_v2("nowhere/sqlite.db", &db, SQLITE_OPEN_READWRITE, NULL));
    sqlite3_close(db);
}
