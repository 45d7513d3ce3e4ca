/* The k best of what is offered, as a heap with the worst on top: a higher score is better, then a
 * smaller position. */
#ifndef NEARFIELD_HEAP_H
#define NEARFIELD_HEAP_H

#include "level.h"

/* Whether entry a is worse than entry b. */
INLINE int worse(float score_a, int64_t position_a, float score_b, int64_t position_b) {
    return score_a < score_b || (score_a == score_b && position_a > position_b);
}

/* Puts a better entry in the place of the worst. A heap begins with k entries of -infinity, which
 * every finite score replaces. */
static void replace_worst(float *scores, int64_t *positions, ptrdiff_t k, float score,
                          int64_t position) {
    ptrdiff_t at = 0;
    for (;;) {
        ptrdiff_t child = 2 * at + 1;
        if (child >= k) break;
        if (child + 1 < k &&
            worse(scores[child + 1], positions[child + 1], scores[child], positions[child]))
            child++;
        if (!worse(scores[child], positions[child], score, position)) break;
        scores[at] = scores[child], positions[at] = positions[child];
        at = child;
    }
    scores[at] = score, positions[at] = position;
}

#endif
