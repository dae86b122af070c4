// Opens a database in memory and asks it a question.
#include <sqlite3.h>
#include <stdio.h>
static int row(void *unused, int count, char **values, char **names) {
    (void)unused;
    for (int i = 0; i < count; i++) printf("%s=%s\n", names[i], values[i]);
    return 0;
}
int main(void) {
    sqlite3 *db;
    return sqlite3_open(":memory:", &db) || sqlite3_exec(db, "select 6 * 7 as answer", row, 0, 0);
}
