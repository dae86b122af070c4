//# libs: -l:libsqlite3.a -lm -lz -ldl -lpthread
//# needs: lib:sqlite3
//# modes: few
//# linux: the headers are this system's
// Real queries on the static archive of a distribution: indexes, joins, aggregates, full-text
// search, JSON, callbacks from SQL into the program, and a file that is read back.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void check(int status, sqlite3 *db, const char *what) {
    if (status == SQLITE_OK || status == SQLITE_DONE || status == SQLITE_ROW) return;
    printf("%s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}
static int print_row(void *prefix, int count, char **values, char **names) {
    printf("%s", (const char *)prefix);
    for (int i = 0; i < count; i++) printf(" %s=%s", names[i], values[i] ? values[i] : "NULL");
    printf("\n");
    return 0;
}
static void query(sqlite3 *db, const char *sql) { check(sqlite3_exec(db, sql, print_row, " ", 0), db, sql); }
static void reverse(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    int length = (int)strlen(text);
    char out[64];
    for (int i = 0; i < length && i < 63; i++) out[i] = text[length - 1 - i];
    sqlite3_result_text(context, out, length, SQLITE_TRANSIENT);
}
static void fill(sqlite3 *db) {
    query(db, "create table city(id integer primary key, name text, country text, people integer)");
    query(db, "create index by_country on city(country, people)");
    query(db, "begin");
    sqlite3_stmt *insert;
    check(sqlite3_prepare_v2(db, "insert into city(name, country, people) values(?, ?, ?)", -1, &insert, 0), db, "prepare");
    for (int i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof name, "city %d", i);
        sqlite3_bind_text(insert, 1, name, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(insert, 2, (const char *[]){"cz", "de", "fr"}[i % 3], -1, SQLITE_STATIC);
        sqlite3_bind_int(insert, 3, (i * 7919) % 10007);
        check(sqlite3_step(insert), db, "step");
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    query(db, "commit");
}
int main(void) {
    sqlite3 *db;
    char path[] = "/tmp/sqlite-test-XXXXXX";
    close(mkstemp(path));
    check(sqlite3_open(path, &db), db, "open");
    fill(db);
    query(db, "select country, count(*) n, sum(people) s, round(avg(people), 3) a from city group by country");
    query(db, "select a.name, b.name as other from city a join city b on a.people = b.people + 1 order by a.id limit 3");
    check(sqlite3_create_function(db, "reverse", 1, SQLITE_UTF8, 0, reverse, 0, 0), db, "create_function");
    query(db, "select reverse(name) r, upper(country) u from city where id in (1, 2, 4999)");
    query(db, "with recursive f(a, b) as (values(0, 1) union all select b, a + b from f limit 50) select max(a) m from f");
    query(db, "create virtual table text using fts5(body)");
    query(db, "insert into text values('the quick brown fox'), ('jumps over'), ('the lazy dog')");
    query(db, "select body, rank < 0 ranked from text where text match 'the AND (fox OR dog)' order by rowid");
    query(db, "select json_extract('{\"a\":[1,2,{\"b\":\"deep\"}]}', '$.a[2].b') j");
    query(db, "select name, sum(people) over (partition by country order by id) w from city where id < 7");
    check(sqlite3_close(db), db, "close");
    check(sqlite3_open(path, &db), db, "open again");
    query(db, "pragma integrity_check");
    query(db, "select count(*) from city where country = 'de' and people > 5000");
    printf("%d\n", sqlite3_exec(db, "select * from missing", 0, 0, 0));
    puts(sqlite3_errmsg(db));
    sqlite3_close(db);
    unlink(path);
    return 0;
}
