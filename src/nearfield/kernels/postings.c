/* The k best documents of a weighted query over an inverted index: sums of weights, a block of documents at a time. */
#include "heap.h"

/* `starts`: (terms + 1) into `documents` and `weights`, each term's documents ascending. `query`: `count` terms and their weights;
 * a term may come twice. `places`: (count), room for where each term's postings are. `sums`: (block) floats of zero, and zero
 * again after the call. Documents whose sum is above zero go to the heap of k entries. */
void NF(search_postings)(const int64_t *starts, const int32_t *documents, const float *weights, const int64_t *terms,
                         const float *term_weights, int64_t count, int64_t *places, float *sums, int64_t block, int64_t total,
                         int64_t k, float *scores, int64_t *positions) {
    for (ptrdiff_t t = 0; t < count; t++) places[t] = starts[terms[t]];
    for (int64_t first = 0; first < total; first += block) {
        const int64_t last = first + block < total ? first + block : total;
        int touched = 0;
        for (ptrdiff_t t = 0; t < count; t++) {
            const int64_t end = starts[terms[t] + 1];
            const float weight = term_weights[t];
            int64_t at = places[t];
            const int64_t before = at;
            if (end > at && documents[end - 1] < last) /* all that is left lies in this block */
                for (; at < end; at++) sums[documents[at] - first] += weight * weights[at];
            else
                for (; at < end && documents[at] < last; at++) sums[documents[at] - first] += weight * weights[at];
            places[t] = at;
            touched |= at > before;
        }
        if (!touched) continue;
        const ptrdiff_t size = last - first;
        ptrdiff_t i = 0;
        for (; i + 2 * LANES <= size; i += 2 * LANES) {
            const float worst = scores[0] > 0 ? scores[0] : 0;
            const vi above = (load(sums + i) > splat(worst)) | (load(sums + i + LANES) > splat(worst));
            int64_t any[LANES / 2], some = 0;
            memcpy(any, &above, sizeof any);
            for (int j = 0; j < LANES / 2; j++) some |= any[j];
            if (some)
                for (ptrdiff_t j = i; j < i + 2 * LANES; j++)
                    if (sums[j] > 0 && sums[j] > scores[0]) replace_worst(scores, positions, k, sums[j], first + j);
        }
        for (; i < size; i++)
            if (sums[i] > 0 && sums[i] > scores[0]) replace_worst(scores, positions, k, sums[i], first + i);
        memset(sums, 0, sizeof(float) * (size_t)size);
    }
}
