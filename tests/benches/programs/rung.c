// One rung of the ladder. The five equal letters in a name are replaced by a number.
extern int counter;
void fBBBBB(void);
extern const void *const tableCCCCC[];
void fAAAAA(void) { counter++; }
const void *const tableAAAAA[] = {(void *)fAAAAA, (void *)fBBBBB, tableCCCCC};
int catchesAAAAA(int x) { return x ? catchesAAAAA(x - 1) + counter : 0; }
