// crate: onig_sys 69.9.3
// sources: onig_sys/oniguruma/src/reg{exec,error,parse,ext,comp,gnu,enc,syntax,trav,version,posix,poserr}.c onig_sys/oniguruma/src/{st,onig_init,unicode,ascii,utf8,utf16_be,utf16_le,utf32_be,utf32_le,euc_jp,sjis,euc_tw,euc_kr,big5,gb18030,koi8_r,cp1251,euc_jp_prop,sjis_prop,unicode_unfold_key,unicode_fold1_key,unicode_fold2_key,unicode_fold3_key}.c onig_sys/oniguruma/src/iso8859_*.c
// configure: onig_sys/oniguruma/src/config.h.cmake.in HAVE_UNISTD_H=1 HAVE_SYS_TYPES_H=1 HAVE_SYS_TIME_H=1 HAVE_ALLOCA=1 HAVE_ALLOCA_H=1 HAVE_STDINT_H=1 HAVE_INTTYPES_H=1 SIZEOF_INT=4 SIZEOF_LONG=8 SIZEOF_LONG_LONG=8 SIZEOF_VOIDP=8
// flags: -Ionig_sys/oniguruma/src
//
// Regular expressions in several encodings: groups with names, looks behind, subexpression calls, callouts, sets of
// expressions, errors.
#include <oniguruma.h>
#include <stdio.h>
#include <string.h>

static int name(const UChar *name, const UChar *end, int count, int *groups, regex_t *regex, void *argument) {
    OnigRegion *region = argument;
    printf(" %.*s=%d", (int)(end - name), (const char *)name, region->beg[groups[count - 1]]);
    return regex == NULL;
}

static void search(const char *pattern, const char *text, OnigOptionType options) {
    regex_t *regex;
    OnigErrorInfo info;
    const UChar *from = (const UChar *)text, *end = from + strlen(text);
    const UChar *begin = (const UChar *)pattern;
    int made = onig_new(&regex, begin, begin + strlen(pattern), options, ONIG_ENCODING_UTF8, ONIG_SYNTAX_ONIGURUMA, &info);
    if (made != ONIG_NORMAL) {
        UChar message[ONIG_MAX_ERROR_MESSAGE_LEN];
        onig_error_code_to_str(message, made, &info);
        printf("/%s/: %s\n", pattern, (char *)message);
        return;
    }
    OnigRegion *region = onig_region_new();
    int at = onig_search(regex, from, end, from, end, region, ONIG_OPTION_NONE);
    printf("/%s/: %d", pattern, at);
    for (int i = 0; at >= 0 && i < region->num_regs; i++) printf(" (%d-%d)", region->beg[i], region->end[i]);
    onig_foreach_name(regex, name, region);
    puts("");
    onig_region_free(region, 1);
    onig_free(regex);
}

static int each(int at, int order, OnigRegion *region, void *argument) {
    int *count = argument;
    *count += at + order + region->end[0];
    return 0;
}

int main(void) {
    OnigEncoding all[] = {ONIG_ENCODING_UTF8, ONIG_ENCODING_ASCII, ONIG_ENCODING_SJIS, ONIG_ENCODING_UTF16_LE};
    onig_initialize(all, 4);
    printf("%s\n", onig_version());
    search("(?<year>\\d{4})-(?<month>\\d\\d)", "on 2026-12-03, a Thursday", 0);
    search("(?<=\\bfoo)bar(?!baz)", "foobarbaz foobarqux", 0);
    search("(?<paren>\\((?:[^()]|\\g<paren>)*\\))", "f(a, (b), ((c)))", 0);
    search("straße|ÄPFEL", "Viele äpfel", ONIG_OPTION_IGNORECASE);
    search("\\p{Greek}+\\X", "abc λόγος", 0);
    search("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaab", 0);
    search("(?i)x*?y{2,3}+\\Kz", "XXyyyz", 0);
    search("(unclosed", "", 0);
    search("[z-a]", "", 0);
    search("(?<n>a)\\k<m>", "", 0);
    regex_t *regex;
    OnigErrorInfo info;
    static const UChar wide[] = "a\0.\0", text[] = "x\0a\0\xac\x20";
    onig_new(&regex, wide, wide + 4, 0, ONIG_ENCODING_UTF16_LE, ONIG_SYNTAX_DEFAULT, &info);
    printf("UTF-16: %d\n", onig_search(regex, text, text + 6, text, text + 6, NULL, 0));
    onig_free(regex);
    static const UChar words[] = "[[:word:]]+", line[] = "how many words are here";
    onig_new(&regex, words, words + sizeof words - 1, 0, ONIG_ENCODING_ASCII, ONIG_SYNTAX_POSIX_EXTENDED, &info);
    OnigRegion *region = onig_region_new();
    int sum = 0;
    int count = onig_scan(regex, line, line + sizeof line - 1, region, 0, each, &sum);
    printf("scan: %d %d\n", count, sum);
    onig_region_free(region, 1);
    onig_free(regex);
    onig_end();
}
