/* What a feed-forward layer applies to each value. */
#ifndef NEARFIELD_ACTIVATION_H
#define NEARFIELD_ACTIVATION_H

#include "matrix.h"

/* Phi(x) - 1/2 for x in [-5.2, 5.2], Phi the normal distribution: x R(x^2), R of degree 14 by
 * minimax, in the centred variable so that float32 does not cancel. */
INLINE vf centred_phi(vf bounded) {
    static const float R[] = {2.023814584e-04f,  -5.622873741e-04f, 6.007875008e-04f,
                              -9.785247389e-04f, 2.662406466e-03f,  -5.067357575e-03f,
                              8.010112743e-03f,  -1.235336513e-02f, 1.813391512e-02f,
                              -2.476344819e-02f, 3.196232430e-02f,  -3.992539766e-02f,
                              5.002610984e-02f,  -6.774380557e-02f, 1.359499782e-01f};
    const vf t = bounded * bounded * splat(0.07396449704f) - splat(1.0f);
    vf r = splat(R[0]);
#pragma GCC unroll 14
    for (int i = 1; i < 15; i++) r = r * t + splat(R[i]);
    return bounded * r;
}

/* x Phi(x), exact to 5e-7 */
INLINE vf gelu_of(vf x) {
    return x * (centred_phi(greater(lesser(x, splat(5.2f)), splat(-5.2f))) + splat(0.5f));
}

/* 1 / (1 + e^-x) */
INLINE vf sigmoid_of(vf x) {
    const vi negative = x < splat(0.0f);
    const vf e = exp_of(blend(negative, x, -x));
    return blend(negative, e, splat(1.0f)) / (splat(1.0f) + e);
}

INLINE vf finished(int finish, vf x) {
    switch (finish) {
    case GELU:
        return gelu_of(x);
    case GELU_TANH:
        return x * sigmoid_of(splat(1.5957691216f) * (x + splat(0.044715f) * x * x * x));
    case RELU:
        return greater(x, splat(0.0f));
    case SILU:
        return x * sigmoid_of(x);
    default:
        return x;
    }
}

/* `finished` at x, and its derivative there. */
INLINE vf finished_and_slope(int finish, vf x, vf *slope) {
    switch (finish) {
    case GELU: { /* x Phi(x); Phi(x) + x phi(x) */
        const vf below = centred_phi(greater(lesser(x, splat(5.2f)), splat(-5.2f))) + splat(0.5f);
        *slope = below + x * splat(0.3989422804f) * exp_of(splat(-0.5f) * x * x);
        return x * below;
    }
    case GELU_TANH: {
        const vf s = sigmoid_of(splat(1.5957691216f) * (x + splat(0.044715f) * x * x * x));
        *slope = s + x * s * (splat(1.0f) - s) * splat(1.5957691216f) *
                         (splat(1.0f) + splat(0.134145f) * x * x);
        return x * s;
    }
    case RELU:
        *slope = blend(x > splat(0.0f), splat(1.0f), splat(0.0f));
        return greater(x, splat(0.0f));
    case SILU: {
        const vf s = sigmoid_of(x);
        *slope = s + x * s * (splat(1.0f) - s);
        return x * s;
    }
    default:
        *slope = splat(1.0f);
        return x;
    }
}

/* out = finished(in) of `count` rows of `width` floats, a multiple of LANES. */
INLINE void activate(int finish, const float *in, ptrdiff_t stride, ptrdiff_t count,
                     ptrdiff_t width, float *out, ptrdiff_t out_stride) {
    for (ptrdiff_t i = 0; i < count; i++, in += stride, out += out_stride)
        for (ptrdiff_t k = 0; k < width; k += LANES) store(out + k, finished(finish, load(in + k)));
}

#endif
