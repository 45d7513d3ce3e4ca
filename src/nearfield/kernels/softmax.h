/* What attention's two ways share. */
#ifndef NEARFIELD_SOFTMAX_H
#define NEARFIELD_SOFTMAX_H

#include "fours.h"
#include "model.h"

#define QUERIES                                                                                    \
    48 /* rows of scores at once: bounds what a long text takes, and stays in a second-level cache \
        */

/* scores[j] becomes e^(scale x scores[j] + bias[j] - the greatest); returns their sum. Room up to a
 * whole register is overwritten. */
INLINE float exponentials(float *scores, ptrdiff_t length, float scale, const float *bias) {
    const ptrdiff_t whole = (length + LANES - 1) / LANES * LANES;
    vf most = splat(-INFINITY), total = splat(0.0f);
    if (bias)
        for (ptrdiff_t j = 0; j < whole; j += LANES)
            store(scores + j, load(scores + j) * splat(scale) + load(bias + j));
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

/* Rows of `wide` floats, `stride` apart, as the columns of panels of PANEL rows each; zeros where a
 * panel is not full. */
INLINE void in_panels(const float *rows, ptrdiff_t stride, ptrdiff_t length, ptrdiff_t wide,
                      float *panels) {
    for (ptrdiff_t t = 0; t < length; t += PANEL, panels += PANEL * wide) {
        if (length - t < PANEL) memset(panels, 0, sizeof(float) * (size_t)(PANEL * wide));
        turn(rows + t * stride, stride, length - t < PANEL ? length - t : PANEL, wide, panels,
             PANEL);
    }
}

#endif
