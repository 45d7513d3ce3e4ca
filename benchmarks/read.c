/* Reads memory and nothing else: the bound of a search that has to look at every vector. */
#include <stddef.h>

typedef float wide __attribute__((vector_size(64), aligned(4)));

float read_floats(const float *from, ptrdiff_t count) {
    wide sums[8] = {{0}};
    const wide *at = (const wide *)from;
    for (ptrdiff_t i = 0; i + 8 <= count / 16; i += 8)
        for (int j = 0; j < 8; j++) sums[j] += at[i + j];
    float total = 0;
    for (int j = 0; j < 8; j++)
        for (int l = 0; l < 16; l++) total += sums[j][l];
    return total;
}
