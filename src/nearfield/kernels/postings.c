/* The k best documents of weighted queries over an inverted index: sums of weights, a block of
 * documents at a time. */
#include "heap.h"

typedef struct {
    const int64_t *starts;    /* (terms + 1) into the two below */
    const int32_t *documents; /* ascending within a term */
    const float *weights;
} postings;

/* Adds what a term's postings from `at` on say of documents below `last` to their sums; returns
 * where the rest of them begins. */
INLINE int64_t add_term(const postings *from, int64_t at, int64_t end, float weight, int64_t first,
                        int64_t last, float *sums) {
    const int32_t *documents = from->documents;
    if (at < end && documents[end - 1] < last) /* all that is left lies in this block, which is most
                                                  often so: no comparison a document */
        for (; at < end; at++) sums[documents[at] - first] += weight * from->weights[at];
    else
        for (; at < end && documents[at] < last; at++)
            sums[documents[at] - first] += weight * from->weights[at];
    return at;
}

/* Offers the documents first.. of a block whose sum is above zero. */
INLINE void offer_block(const float *sums, int64_t size, int64_t first, int64_t k, float *scores,
                        int64_t *positions) {
    int64_t i = 0;
    while (i < size) {
        const int64_t end = i + 4 * LANES <= size ? i + 4 * LANES : size;
        if (end == i + 4 * LANES) {
            const vf worst = splat(scores[0] > 0 ? scores[0] : 0);
            const vi above =
                ((load(sums + i) > worst) | (load(sums + i + LANES) > worst)) |
                ((load(sums + i + 2 * LANES) > worst) | (load(sums + i + 3 * LANES) > worst));
            int64_t halves[LANES / 2], some = 0;
            memcpy(halves, &above, sizeof halves);
            for (int j = 0; j < LANES / 2; j++) some |= halves[j];
            if (!some) {
                i = end;
                continue;
            }
        }
        for (; i < end; i++)
            if (sums[i] > 0 && sums[i] > scores[0])
                replace_worst(scores, positions, k, sums[i], first + i);
    }
}

/* Searches queries range[0]..range[1]-1. Query q has the terms offsets[q]..offsets[q + 1]-1 of
 * `terms` (one may come twice) with their weights; `places`: room for one number a term of a query;
 * `sums`: (block) floats of zero, and zero again after the call; `total`: how many documents there
 * are; `scores` and `positions`: (n, k), as a heap begins. */
void NF(search_postings)(const int64_t *starts, const int32_t *documents, const float *weights,
                         const int64_t *terms, const float *term_weights, const int64_t *offsets,
                         const int64_t *range, int64_t *places, float *sums, int64_t block,
                         int64_t total, float *scores, int64_t *positions, int64_t k) {
    const postings from = {starts, documents, weights};
    for (int64_t q = range[0]; q < range[1]; q++) {
        const int64_t begin = offsets[q], count = offsets[q + 1] - begin;
        for (int64_t t = 0; t < count; t++) places[t] = starts[terms[begin + t]];
        for (int64_t first = 0; first < total; first += block) {
            const int64_t last = first + block < total ? first + block : total;
            int touched = 0;
            for (int64_t t = 0; t < count; t++) {
                const int64_t at = places[t];
                places[t] = add_term(&from, at, starts[terms[begin + t] + 1],
                                     term_weights[begin + t], first, last, sums);
                touched |= places[t] > at;
            }
            if (!touched) continue;
            offer_block(sums, last - first, first, k, scores + q * k, positions + q * k);
            memset(sums, 0, sizeof(float) * (size_t)(last - first));
        }
    }
}
