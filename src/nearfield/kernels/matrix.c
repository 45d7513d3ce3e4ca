#include "activation.h"

#if LANES == 16
#define TILE 12 /* rows of a block in registers: 12 x 2 sums of 32 registers */
#elif LANES == 8
#define TILE 6 /* 6 x 2 sums of 16 registers */
#else
#define TILE 4
#endif
#define PANEL_BYTES 24576 /* of a panel at once: stays in a first-level cache of 32 KiB with the rows that it meets */

void NF(pack)(const float *rows, ptrdiff_t count, ptrdiff_t columns, ptrdiff_t first, float *panels) {
    for (ptrdiff_t row = 0; row < count; row++) {
        const ptrdiff_t at = first + row;
        float *to = panels + at / PANEL * PANEL * columns + at % PANEL;
        for (ptrdiff_t k = 0; k < columns; k++) to[k * PANEL] = rows[row * columns + k];
    }
}

/* One block of `count` rows (a constant at each call, so that the sums stay in registers). `bias` NULL: begin at what `out` holds. */
INLINE void tile(const int count, const float *in, ptrdiff_t in_stride, const float *panel, ptrdiff_t depth, const float *bias, float *out,
                 ptrdiff_t out_stride) {
    vf sums[TILE][2];
    for (int i = 0; i < count; i++)
        for (int j = 0; j < 2; j++) sums[i][j] = load(bias ? bias + j * LANES : out + i * out_stride + j * LANES);
    for (ptrdiff_t k = 0; k < depth; k++) {
        const vf left = load(panel), right = load(panel + LANES);
        panel += PANEL;
#pragma GCC unroll 16
        for (int i = 0; i < count; i++) {
            const vf x = splat(in[i * in_stride + k]);
            sums[i][0] += x * left;
            sums[i][1] += x * right;
        }
    }
    for (int i = 0; i < count; i++)
        for (int j = 0; j < 2; j++) store(out + i * out_stride + j * LANES, sums[i][j]);
}

static void panel_product(const float *in, ptrdiff_t in_stride, ptrdiff_t count, const float *panel, ptrdiff_t depth, const float *bias,
                          float *out, ptrdiff_t out_stride) {
    ptrdiff_t i = 0;
    for (; i + TILE <= count; i += TILE) tile(TILE, in + i * in_stride, in_stride, panel, depth, bias, out + i * out_stride, out_stride);
    in += i * in_stride, out += i * out_stride;
    switch (count - i) {
#define REST(n) case n: tile(n, in, in_stride, panel, depth, bias, out, out_stride); break;
#if TILE > 6
        REST(11) REST(10) REST(9) REST(8) REST(7) REST(6)
#endif
#if TILE > 4
        REST(5) REST(4)
#endif
        REST(3) REST(2) REST(1)
    }
}

void NF(block)(const float *in, ptrdiff_t in_stride, ptrdiff_t count, const float *panel, ptrdiff_t depth, float *out,
               ptrdiff_t out_stride) {
    static const float zeros[PANEL];
    panel_product(in, in_stride, count, panel, depth, zeros, out, out_stride);
}

static void finish_rows(float *out, ptrdiff_t out_stride, ptrdiff_t count, int finish) {
#define FINISH(name) case name: for (ptrdiff_t i = 0; i < count; i++) for (int j = 0; j < PANEL; j += LANES) \
        store(out + i * out_stride + j, finished(name, load(out + i * out_stride + j))); break;
    switch (finish) { FINISH(GELU) FINISH(GELU_TANH) FINISH(RELU) FINISH(SILU) }
}

void NF(multiply)(const nf_matrix *matrix, const ptrdiff_t span[4], const float *in, ptrdiff_t in_stride, ptrdiff_t count, float *out,
                  ptrdiff_t out_stride, int finish) {
    const ptrdiff_t step = PANEL_BYTES / (PANEL * (ptrdiff_t)sizeof(float)), from = span[0], to = span[1];
    for (ptrdiff_t k = span[2]; k < span[3]; k += step) {
        const ptrdiff_t depth = span[3] - k < step ? span[3] - k : step;
        for (ptrdiff_t o = from; o < to; o += PANEL) {
            const float *panel = (const float *)matrix->panels + o * matrix->columns + k * PANEL;
            const float *bias = k > span[2] || finish == ADD ? NULL : matrix->bias + o;
            float *at = out + (o - from);
            panel_product(in + (k - span[2]), in_stride, count, panel, depth, bias, at, out_stride);
            if (k + step >= span[3] && finish > ADD) finish_rows(at, out_stride, count, finish);
        }
    }
}
