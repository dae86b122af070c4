#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int calls;
void *__real_malloc(size_t);
void *__wrap_malloc(size_t n) { calls++; return __real_malloc(n); }
int main(void) { char *p = malloc(5); char *q = strdup("x"); printf("%d\n", calls); free(p); free(q); return 0; }
