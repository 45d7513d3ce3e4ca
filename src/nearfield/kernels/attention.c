#include "softmax.h"

ptrdiff_t NF(attention_scratch)(const nf_model *model, ptrdiff_t longest) {
    const ptrdiff_t wide = model->hidden / model->heads;
    return padded(longest) * wide + longest * padded(wide) +
           QUERIES * (padded(longest) + padded(wide));
}

/* Rows of `wide` floats, `stride` apart, in panels of PANEL dimensions; zeros where a panel is not
 * full. */
static void dimensions_in_panels(const float *rows, ptrdiff_t stride, ptrdiff_t length,
                                 ptrdiff_t wide, float *panels) {
    for (ptrdiff_t first = 0; first < wide; first += PANEL) {
        const ptrdiff_t filled = wide - first < PANEL ? wide - first : PANEL;
        for (ptrdiff_t t = 0; t < length; t++, panels += PANEL) {
            for (ptrdiff_t k = 0; k < filled; k++) panels[k] = rows[t * stride + first + k];
            for (ptrdiff_t k = filled; k < PANEL; k++) panels[k] = 0.0f;
        }
    }
}

/* One head of one sequence: what the queries `span[0]`... `span[1]` gather goes to rows of `mixed`,
 * which may be these queries. */
static void head(const float *queries, ptrdiff_t hidden, const ptrdiff_t span[2], ptrdiff_t stride,
                 ptrdiff_t length, ptrdiff_t wide, const float *distances, float *mixed,
                 ptrdiff_t mixed_stride, float *scratch) {
    const ptrdiff_t across = padded(length), deep = padded(wide);
    float *key_panels = scratch, *value_panels = key_panels + across * wide,
          *scores = value_panels + length * deep;
    float *gathered = scores + QUERIES * across, sums[QUERIES];
    const float scale = 1.0f / sqrtf((float)wide);
    in_panels(queries + hidden, stride, length, wide, key_panels);
    dimensions_in_panels(queries + 2 * hidden, stride, length, wide, value_panels);
    for (ptrdiff_t first = span[0]; first < span[1]; first += QUERIES) {
        const ptrdiff_t count = span[1] - first < QUERIES ? span[1] - first : QUERIES;
        for (ptrdiff_t j = 0; j < length; j += PANEL)
            NF(block)(queries + first * stride, stride, count, key_panels + j * wide, PANEL, wide,
                      scores + j, across, STORE);
        for (ptrdiff_t i = 0; i < count; i++)
            sums[i] = exponentials(scores + i * across, length, scale,
                                   distances ? distances - (first + i) : NULL);
        for (ptrdiff_t k = 0; k < wide; k += PANEL)
            NF(block)(scores, across, count, value_panels + k * length, PANEL, length, gathered + k,
                      deep, STORE);
        for (ptrdiff_t i = 0; i < count; i++)
            for (ptrdiff_t k = 0; k < wide; k++)
                mixed[(first - span[0] + i) * mixed_stride + k] = gathered[i * deep + k] / sums[i];
    }
}

/* Attention of the tokens `only[0]`... `only[1]` of a sequence to all of its `length`. `projected`
 * holds queries, keys and values of all heads in each row; what these tokens gather goes to as many
 * rows of `mixed`, which may be theirs of `projected`. */
void NF(attend)(const nf_model *model, const float *projected, ptrdiff_t stride, ptrdiff_t length,
                const ptrdiff_t only[2], float *mixed, ptrdiff_t mixed_stride, float *scratch) {
    const ptrdiff_t hidden = model->hidden, wide = hidden / model->heads,
                    reach = 2 * model->reach - 1;
    for (ptrdiff_t h = 0; h < model->heads; h++) {
        const float *distances = model->distances ? model->distances + h * reach + model->reach - 1
                                                  : NULL; /* at distance 0 */
        head(projected + h * wide, hidden, only, stride, length, wide, distances, mixed + h * wide,
             mixed_stride, scratch);
    }
}
