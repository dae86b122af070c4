// crate: tree-sitter 0.27.1
// crate: tree-sitter-json 0.24.8
// sources: tree-sitter/src/lib.c tree-sitter-json/src/parser.c
// flags: -Itree-sitter/include -Itree-sitter/src -Itree-sitter-json/src -D_POSIX_C_SOURCE=200112L -D_DEFAULT_SOURCE -D_DARWIN_C_SOURCE
//
// A parser and a grammar for it: trees, trees of broken text, edits, queries.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tree_sitter/api.h>

const TSLanguage *tree_sitter_json(void);

static void show(const char *what, TSTree *tree) {
    char *text = ts_node_string(ts_tree_root_node(tree));
    printf("%s: %s\n", what, text);
    free(text);
}

static void query(TSTree *tree, const char *source, const char *pattern) {
    uint32_t at;
    TSQueryError error;
    TSQuery *query = ts_query_new(tree_sitter_json(), pattern, (uint32_t)strlen(pattern), &at, &error);
    if (!query) {
        printf("%s: error %d at %u\n", pattern, error, at);
        return;
    }
    TSQueryCursor *cursor = ts_query_cursor_new();
    ts_query_cursor_exec(cursor, query, ts_tree_root_node(tree));
    TSQueryMatch match;
    while (ts_query_cursor_next_match(cursor, &match)) {
        for (int i = 0; i < match.capture_count; i++) {
            TSNode node = match.captures[i].node;
            uint32_t start = ts_node_start_byte(node), length, end = ts_node_end_byte(node);
            const char *name = ts_query_capture_name_for_id(query, match.captures[i].index, &length);
            TSPoint point = ts_node_start_point(node);
            printf(" %s=%.*s at %u:%u", name, (int)(end - start), source + start, point.row, point.column);
        }
        puts("");
    }
    ts_query_cursor_delete(cursor);
    ts_query_delete(query);
}

int main(void) {
    static char source[] = "{\"name\": \"linker\",\n \"parts\": [1, 2.5e3, true, null, {\"deep\": []}]}";
    TSParser *parser = ts_parser_new();
    if (!ts_parser_set_language(parser, tree_sitter_json())) return 1;
    TSTree *tree = ts_parser_parse_string(parser, NULL, source, (uint32_t)strlen(source));
    show("whole", tree);
    query(tree, source, "(pair key: (string) @key value: (_) @value)");
    query(tree, source, "((number) @n (#eq? @n \"1\"))");
    query(tree, source, "(nothing)");
    // "linker" becomes the number 123456 and two blanks.
    memcpy(source + 9, " 123456 ", 8);
    TSInputEdit edit = {9, 17, 17, {0, 9}, {0, 17}, {0, 17}};
    ts_tree_edit(tree, &edit);
    TSTree *next = ts_parser_parse_string(parser, tree, source, (uint32_t)strlen(source));
    show("edited", next);
    uint32_t count;
    TSRange *ranges = ts_tree_get_changed_ranges(tree, next, &count);
    for (uint32_t i = 0; i < count; i++) printf("changed: %u-%u\n", ranges[i].start_byte, ranges[i].end_byte);
    free(ranges);
    TSTree *broken = ts_parser_parse_string(parser, NULL, "{\"a\": [1, }", 11);
    show("broken", broken);
    static char many[200001];
    many[0] = '[';
    for (int i = 1; i < 200000; i += 2) memcpy(many + i, i + 2 < 200000 ? "7," : "7]", 2);
    TSTree *large = ts_parser_parse_string(parser, NULL, many, 200001);
    printf("large: %u, %d\n", ts_node_descendant_count(ts_tree_root_node(large)), ts_node_has_error(ts_tree_root_node(large)));
    ts_tree_delete(large);
    ts_tree_delete(broken);
    ts_tree_delete(next);
    ts_tree_delete(tree);
    ts_parser_delete(parser);
}
