#include "softmax.h"
#include "train.h"

ptrdiff_t NF(attention_back_scratch)(const nf_model *model, ptrdiff_t longest) {
    const ptrdiff_t wide = model->hidden / model->heads, across = padded(longest);
    return 4 * across * wide + QUERIES * (2 * across + padded(wide) + wide);
}

/* out (wide, across) += rows' (count, wide) turned . scores (count, across). */
static void add_turned(const float *rows, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t wide,
                       const float *scores, ptrdiff_t across, float *turned, float *out) {
    turn(rows, stride, count, wide, turned, QUERIES);
    for (ptrdiff_t j = 0; j < across; j += PANEL)
        NF(block)(turned, QUERIES, wide, scores + j, across, count, out + j, across, ADD);
}

/* Of one head of one sequence and its queries `span[0]`... `span[1]`, which `mixed` and `gradient`
 * have a row each of. With scores s = scale q k' + bias, p = softmax(s), o = p v and the gradient g
 * by o: v has the gradient p' g, s has p (g v' - g . o), q has scale ds k, and k scale ds' q. */
static void head_back(const float *queries, ptrdiff_t hidden, ptrdiff_t stride, const float *mixed,
                      const float *gradient, ptrdiff_t mixed_stride, ptrdiff_t length,
                      const ptrdiff_t span[2], ptrdiff_t wide, const float *bias, float *back,
                      float *distances, float *scratch) {
    const ptrdiff_t across = padded(length), deep = padded(wide);
    float *key_panels = scratch, *value_panels = key_panels + across * wide,
          *keys = value_panels + across * wide;
    float *values = keys + across * wide, *weights = values + across * wide,
          *slopes = weights + QUERIES * across;
    float *gathered = slopes + QUERIES * across, *turned = gathered + QUERIES * deep;
    const float scale = 1.0f / sqrtf((float)wide);
    in_panels(queries + hidden, stride, length, wide, key_panels);
    in_panels(queries + 2 * hidden, stride, length, wide, value_panels);
    memset(keys, 0, sizeof(float) * (size_t)(2 * across * wide));
    for (ptrdiff_t first = span[0]; first < span[1]; first += QUERIES) {
        const ptrdiff_t count = span[1] - first < QUERIES ? span[1] - first : QUERIES,
                        row = first - span[0];
        const float *asked = queries + first * stride, *given = gradient + row * mixed_stride,
                    *made = mixed + row * mixed_stride;
        for (ptrdiff_t j = 0; j < length; j += PANEL) {
            NF(block)(asked, stride, count, key_panels + j * wide, PANEL, wide, weights + j, across,
                      STORE);
            NF(block)(given, mixed_stride, count, value_panels + j * wide, PANEL, wide, slopes + j,
                      across, STORE);
        }
        for (ptrdiff_t i = 0; i < count; i++) {
            float *weight = weights + i * across, *slope = slopes + i * across, common = 0.0f;
            const float share =
                1.0f / exponentials(weight, length, scale, bias ? bias - (first + i) : NULL);
            for (ptrdiff_t k = 0; k < wide; k++)
                common += given[i * mixed_stride + k] * made[i * mixed_stride + k];
            for (ptrdiff_t j = 0; j < across; j += LANES) {
                const vf p = load(weight + j) * splat(share);
                store(weight + j, p);
                store(slope + j, p * (load(slope + j) - splat(common)) * splat(scale));
            }
            for (ptrdiff_t j = 0; distances && j < length; j++)
                distances[j - (first + i)] += slope[j] / scale;
        }
        add_turned(given, mixed_stride, count, wide, weights, across, turned, values);
        add_turned(asked, stride, count, wide, slopes, across, turned, keys);
        for (ptrdiff_t k = 0; k < wide; k += PANEL)
            NF(block)(slopes, across, count, queries + hidden + k, stride, length, gathered + k,
                      deep, STORE);
        for (ptrdiff_t i = 0; i < count; i++)
            memcpy(back + (first + i) * stride, gathered + i * deep, sizeof(float) * (size_t)wide);
    }
    turn(keys, across, wide, length, back + hidden, stride);
    turn(values, across, wide, length, back + 2 * hidden, stride);
}

/* The gradient `back` by queries, keys and values (rows as `projected`'s) of a sequence whose
 * tokens `only[0]`... `only[1]` gathered `mixed`, by which the gradient is `gradient` (rows as
 * mixed's). Rows of other tokens' queries are left as they are. Past a row of `projected` PANEL
 * floats are read that count for nothing. */
void NF(attend_back)(const nf_model *model, const float *projected, ptrdiff_t stride,
                     const float *mixed, const float *gradient, ptrdiff_t mixed_stride,
                     ptrdiff_t length, const ptrdiff_t only[2], float *back, float *distances,
                     float *scratch) {
    const ptrdiff_t hidden = model->hidden, wide = hidden / model->heads,
                    reach = 2 * model->reach - 1;
    for (ptrdiff_t h = 0; h < model->heads; h++) {
        const ptrdiff_t zero = h * reach + model->reach - 1, at = h * wide; /* `zero`: distance 0 */
        head_back(projected + at, hidden, stride, mixed + at, gradient + at, mixed_stride, length,
                  only, wide, model->distances ? model->distances + zero : NULL, back + at,
                  distances ? distances + zero : NULL, scratch);
    }
}
