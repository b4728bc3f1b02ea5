/* A test of the verifier's own: ends as its first argument says. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **words) {
    if (count < 2) return 3;
    if (!strcmp(words[1], "green")) return 0;
    if (!strcmp(words[1], "leaves")) exit(0);
    if (!strcmp(words[1], "asserts")) assert(words[1][0] == 'b');
    return 1;
}
