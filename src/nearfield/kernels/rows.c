#include "model.h"

/* out = (x - mean) / sqrt(variance + epsilon) * weight + bias of each row x + `bias` (NULL: none).
 * `out` may be `rows`. `kept` and `factors`: NULL, or where (x - mean) / sqrt(variance + epsilon),
 * in rows as far apart as those of `out`, and 1 / sqrt(variance + epsilon) go. */
void NF(normalise_rows)(float *rows, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t width,
                        const float *bias, const nf_norm *norm, float epsilon, float *out,
                        ptrdiff_t out_stride, float *kept, float *factors) {
    const ptrdiff_t whole = width / LANES * LANES;
    for (ptrdiff_t i = 0; i < count; i++, rows += stride, out += out_stride) {
        vf total = splat(0.0f), squares = splat(0.0f);
        float rest = 0.0f, square = 0.0f;
        for (ptrdiff_t k = 0; k < whole; k += LANES) {
            const vf x = bias ? load(rows + k) + load(bias + k) : load(rows + k);
            store(out + k, x);
            total += x;
        }
        for (ptrdiff_t k = whole; k < width; k++)
            rest += out[k] = bias ? rows[k] + bias[k] : rows[k];
        const float mean = (sum_of(total) + rest) / (float)width;
        for (ptrdiff_t k = 0; k < whole; k += LANES) {
            const vf x = load(out + k) - splat(mean);
            squares += x * x;
        }
        for (ptrdiff_t k = whole; k < width; k++) square += (out[k] - mean) * (out[k] - mean);
        const float factor = 1.0f / sqrtf((sum_of(squares) + square) / (float)width + epsilon);
        if (kept) {
            for (ptrdiff_t k = 0; k < width; k++)
                kept[i * out_stride + k] = (out[k] - mean) * factor;
            factors[i] = factor;
        }
        for (ptrdiff_t k = 0; k < whole; k += LANES)
            store(out + k, (load(out + k) - splat(mean)) * splat(factor) * load(norm->weight + k) +
                               load(norm->bias + k));
        for (ptrdiff_t k = whole; k < width; k++)
            out[k] = (out[k] - mean) * factor * norm->weight[k] + norm->bias[k];
    }
}

/* The greatest or the (weighted) mean of the states of a sequence's tokens after the first
 * `skipped`, of which there are some. */
void NF(pool)(const nf_model *model, const float *states, ptrdiff_t stride, ptrdiff_t length,
              ptrdiff_t skipped, float *vector) {
    const ptrdiff_t width = model->hidden;
    const int weighted = model->pooling == WEIGHTED;
    for (ptrdiff_t k = 0; k < width; k++) vector[k] = model->pooling == MAX ? -INFINITY : 0.0f;
    if (model->pooling == MAX) {
        for (ptrdiff_t t = skipped; t < length; t++)
            for (ptrdiff_t k = 0; k < width; k++)
                vector[k] = states[t * stride + k] > vector[k] ? states[t * stride + k] : vector[k];
        return;
    }
    float weights = 0.0f; /* a token's weight is 1, or its place, counted from 1 (SGPT, Muennighoff
                             2022, equation 2) */
    for (ptrdiff_t t = skipped; t < length; t++) {
        const float weight = weighted ? (float)(t + 1) : 1.0f;
        weights += weight;
        for (ptrdiff_t k = 0; k < width; k++) vector[k] += weight * states[t * stride + k];
    }
    for (ptrdiff_t k = 0; k < width; k++) vector[k] /= weights;
}
