#include "model.h"

#define QUERIES 48 /* rows of scores at once: bounds what a long text takes, and stays in a second-level cache */

ptrdiff_t NF(attention_scratch)(const nf_model *model, ptrdiff_t longest) {
    const ptrdiff_t wide = model->hidden / model->heads;
    return padded(longest) * wide + longest * padded(wide) + QUERIES * (padded(longest) + padded(wide));
}

/* Keys in panels of PANEL tokens, values in panels of PANEL dimensions; zeros where a panel is not full. */
static void gather(const float *keys, const float *values, ptrdiff_t stride, ptrdiff_t length, ptrdiff_t wide, float *key_panels,
                   float *value_panels) {
    for (ptrdiff_t t = 0; t < padded(length); t++) {
        float *to = key_panels + t / PANEL * PANEL * wide + t % PANEL;
        for (ptrdiff_t k = 0; k < wide; k++) to[k * PANEL] = t < length ? keys[t * stride + k] : 0.0f;
    }
    for (ptrdiff_t first = 0; first < wide; first += PANEL) {
        const ptrdiff_t filled = wide - first < PANEL ? wide - first : PANEL;
        for (ptrdiff_t t = 0; t < length; t++, value_panels += PANEL) {
            for (ptrdiff_t k = 0; k < filled; k++) value_panels[k] = values[t * stride + first + k];
            for (ptrdiff_t k = filled; k < PANEL; k++) value_panels[k] = 0.0f;
        }
    }
}

/* scores[j] becomes e^(scale x scores[j] + bias[j] - the greatest); returns their sum. Room up to a whole register is overwritten. */
INLINE float exponentials(float *scores, ptrdiff_t length, float scale, const float *bias) {
    const ptrdiff_t whole = (length + LANES - 1) / LANES * LANES;
    vf most = splat(-INFINITY), total = splat(0.0f);
    if (bias)
        for (ptrdiff_t j = 0; j < whole; j += LANES) store(scores + j, load(scores + j) * splat(scale) + load(bias + j));
    for (ptrdiff_t j = length; j < whole; j++) scores[j] = -INFINITY;
    for (ptrdiff_t j = 0; j < whole; j += LANES) most = greater(most, load(scores + j));
    const vf factor = splat(bias ? 1.0f : scale), greatest = splat(greatest_of(most));
    for (ptrdiff_t j = 0; j < whole; j += LANES) {
        const vf e = exp_of((load(scores + j) - greatest) * factor);
        store(scores + j, e);
        total += e;
    }
    return sum_of(total);
}

/* One head of one sequence, for the queries `from`... `to`, which are overwritten with what they gather. */
static void head(float *queries, ptrdiff_t hidden, const ptrdiff_t span[2], ptrdiff_t stride, ptrdiff_t length, ptrdiff_t wide,
                 const float *distances, float *scratch) {
    const ptrdiff_t across = padded(length), deep = padded(wide);
    float *key_panels = scratch, *value_panels = key_panels + across * wide, *scores = value_panels + length * deep;
    float *gathered = scores + QUERIES * across, sums[QUERIES];
    const float scale = 1.0f / sqrtf((float)wide);
    gather(queries + hidden, queries + 2 * hidden, stride, length, wide, key_panels, value_panels);
    for (ptrdiff_t first = span[0]; first < span[1]; first += QUERIES) {
        const ptrdiff_t count = span[1] - first < QUERIES ? span[1] - first : QUERIES;
        float *rows = queries + first * stride;
        for (ptrdiff_t j = 0; j < length; j += PANEL) NF(block)(rows, stride, count, key_panels + j * wide, wide, scores + j, across);
        for (ptrdiff_t i = 0; i < count; i++)
            sums[i] = exponentials(scores + i * across, length, scale, distances ? distances - (first + i) : NULL);
        for (ptrdiff_t k = 0; k < wide; k += PANEL)
            NF(block)(scores, across, count, value_panels + k * length, length, gathered + k, deep);
        for (ptrdiff_t i = 0; i < count; i++)
            for (ptrdiff_t k = 0; k < wide; k++) rows[i * stride + k] = gathered[i * deep + k] / sums[i];
    }
}

/* Attention of the tokens `only[0]`... `only[1]` of a sequence to all of its `length`. `projected` holds queries, keys and values of all
 * heads in each row; what a query gathers takes its place. */
void NF(attend)(const nf_model *model, float *projected, ptrdiff_t stride, ptrdiff_t length, const ptrdiff_t only[2], float *scratch) {
    const ptrdiff_t hidden = model->hidden, wide = hidden / model->heads, reach = 2 * model->reach - 1;
    for (ptrdiff_t h = 0; h < model->heads; h++) {
        const float *distances = model->distances ? model->distances + h * reach + model->reach - 1 : NULL; /* at distance 0 */
        head(projected + h * wide, hidden, only, stride, length, wide, distances, scratch);
    }
}
