#include "activation.h"
#include "dot.h"
#include "tiles.h"

#if LANES == 16
#define TILE 12 /* rows of a block in registers: 12 x 2 sums of 32 registers */
#elif LANES == 8
#define TILE 6 /* 6 x 2 sums of 16 registers */
#elif defined(__aarch64__)
#define TILE 8 /* 8 x 2 sums of 32 registers: as many as four multiplications a cycle keep busy */
#else
#define TILE 4
#endif
#define LINE 16 /* units of a cache line */
#define STEP                                                                                      \
    (6144 / PANEL) /* units of a panel at once: 24 KiB stay in a first-level cache of 32 KiB with \
                      the inputs that they meet */

/* What a block of products is made from and goes to. `bias` NULL: begin at what `out` holds. */
typedef struct {
    const uint32_t *in, *panel,
        *next; /* `next` NULL, or the panel of the next call, which is fetched meanwhile */
    const float *bias, *scales, *sums, *in_scales, *in_lows;
    float *out;
    ptrdiff_t in_stride, panel_stride, depth, out_stride;
} nf_block;

/* What a register of exact sums of 8-bit products stands for, of columns j * LANES... and row
 * `row`. */
INLINE vf weighed(const nf_block *own, ptrdiff_t row, int j, vi whole) {
    const vf exact = __builtin_convertvector(whole, vf) * load(own->scales + j * LANES);
    return exact * splat(own->in_scales[row]) +
           load(own->sums + j * LANES) * splat(own->in_lows[row]);
}

/* One block of `count` rows (`kind` and `count` are constants at each call, so that the sums stay
 * in registers). */
INLINE void tile(const int kind, const int count, const nf_block *own, ptrdiff_t first) {
    const uint32_t *in = own->in + first * own->in_stride, *panel = own->panel;
    const ptrdiff_t in_stride = own->in_stride, out_stride = own->out_stride, depth = own->depth;
    float *out = own->out + first * out_stride;
    vf sums[TILE][2];
    vi whole[TILE][2]; /* in place of sums where they are integers */
    for (int i = 0; i < count; i++)
        for (int j = 0; j < 2; j++) {
            if (kind == INT8)
                whole[i][j] = splat_int(0);
            else
                sums[i][j] =
                    load(own->bias ? own->bias + j * LANES : out + i * out_stride + j * LANES);
        }
    for (ptrdiff_t u = 0; u < depth; u++, panel += own->panel_stride) {
        const vi left = load_int(panel), right = load_int(panel + LANES);
#pragma GCC unroll 16
        for (int i = 0; i < count; i++) {
            const uint32_t unit = in[i * in_stride + u];
            if (kind == INT8) {
                whole[i][0] = dot_int8(whole[i][0], unit, left);
                whole[i][1] = dot_int8(whole[i][1], unit, right);
            } else if (kind == BFLOAT16) {
                sums[i][0] = dot_bfloat16(sums[i][0], unit, left);
                sums[i][1] = dot_bfloat16(sums[i][1], unit, right);
            } else {
                sums[i][0] = dot_float32(sums[i][0], unit, left);
                sums[i][1] = dot_float32(sums[i][1], unit, right);
            }
        }
    }
    for (int i = 0; i < count; i++)
        for (int j = 0; j < 2; j++) {
            float *to = out + i * out_stride + j * LANES;
            if (kind == INT8)
                sums[i][j] = load(own->bias ? own->bias + j * LANES : to) +
                             weighed(own, first + i, j, whole[i][j]);
            store(to, sums[i][j]);
        }
}

INLINE void block(const int kind, const nf_block *own, ptrdiff_t count) {
    const ptrdiff_t end = own->depth * PANEL, share = (end * TILE / count + LINE) / LINE * LINE;
    ptrdiff_t i = 0, fetched = own->next ? 0 : end;
    for (; i + TILE <= count; i += TILE) {
        for (ptrdiff_t to = fetched + share; fetched < to && fetched < end; fetched += LINE)
            __builtin_prefetch(own->next + fetched, 0, 2);
        for (ptrdiff_t row = i + TILE; row < i + 2 * TILE && row < count; row++)
            __builtin_prefetch(own->out + row * own->out_stride, 1);
        if (own->next)
            for (ptrdiff_t row = i; row < i + TILE; row++)
                __builtin_prefetch(own->out + row * own->out_stride + PANEL, 1, 2);
        tile(kind, TILE, own, i);
    }
    switch (count - i) {
#define REST(n)                \
    case n:                    \
        tile(kind, n, own, i); \
        break;
#if TILE > 8
        REST(11)
        REST(10) REST(9) REST(8)
#endif
#if TILE > 6
            REST(7) REST(6)
#endif
#if TILE > 4
                REST(5) REST(4)
#endif
                    REST(3) REST(2) REST(1)
    }
}

#if SIDE > 1
/* The same by tiles, of bytes and of bfloat16, whose depth fills them. */
INLINE void tiled(const int kind, const nf_block *own, ptrdiff_t count) {
    float sums[2 * SIDE * PANEL] __attribute__((aligned(64)));
    for (ptrdiff_t first = 0; first < count; first += 2 * SIDE) {
        const ptrdiff_t rows = count - first < 2 * SIDE ? count - first : 2 * SIDE,
                        lower = rows > SIDE ? rows - SIDE : 0;
        if (!first || rows < 2 * SIDE) shape_tiles(rows - lower, lower);
        tile_sums(kind, own->in + first * own->in_stride, own->in_stride, own->panel, own->depth,
                  lower, sums);
        for (ptrdiff_t i = 0; i < rows; i++)
            for (int j = 0; j < 2; j++) {
                float *to = own->out + (first + i) * own->out_stride + j * LANES;
                const float *from = sums + i * PANEL + j * LANES;
                const vf made =
                    kind == INT8 ? weighed(own, first + i, j, load_int(from)) : load(from);
                store(to, load(own->bias ? own->bias + j * LANES : to) + made);
            }
    }
}
#else
#define tiled block
#endif

void NF(block)(const float *in, ptrdiff_t in_stride, ptrdiff_t count, const float *panel,
               ptrdiff_t panel_stride, ptrdiff_t depth, float *out, ptrdiff_t out_stride,
               int finish) {
    static const float zeros[PANEL];
    const nf_block own = {.in = (const uint32_t *)in,
                          .panel = (const uint32_t *)panel,
                          .bias = finish == ADD ? NULL : zeros,
                          .out = out,
                          .in_stride = in_stride,
                          .panel_stride = panel_stride,
                          .depth = depth,
                          .out_stride = out_stride};
    block(FLOAT32, &own, count);
}

static void finish_rows(float *out, ptrdiff_t out_stride, ptrdiff_t count, int finish) {
    for (ptrdiff_t i = 0; i < count; i++, out += out_stride)
        for (int j = 0; j < PANEL; j += LANES) store(out + j, finished(finish, load(out + j)));
}

/* The sums of weights over the slices from input `from` to `to`, of one panel. */
static void add_sums(const nf_matrix *matrix, ptrdiff_t panel, ptrdiff_t from, ptrdiff_t to,
                     float *sums) {
    for (int j = 0; j < PANEL; j++) sums[j] = 0.0f;
    for (ptrdiff_t slice = from / SLICE; slice * SLICE < to; slice++)
        for (int j = 0; j < PANEL; j++)
            sums[j] += matrix->sums[slice * padded(matrix->rows) + panel + j];
}

void NF(multiply)(const nf_matrix *matrix, const ptrdiff_t span[4], const nf_inputs *in,
                  ptrdiff_t count, float *out, ptrdiff_t out_stride, int finish) {
    const ptrdiff_t begin = NF(units)(matrix->kind, span[2]),
                    end = NF(units)(matrix->kind, span[3]);
    float sums[PANEL];
    nf_block own = {
        .in_stride = in->stride, .panel_stride = PANEL, .out_stride = out_stride, .sums = sums};
    own.in_scales = in->scales, own.in_lows = in->lows;
    for (ptrdiff_t u = begin; u < end; u += STEP)
        for (ptrdiff_t o = span[0]; o < span[1]; o += PANEL) {
            own.in = in->units + (u - begin);
            own.panel = (const uint32_t *)matrix->panels + o * matrix->units + u * PANEL;
            own.next = own.panel + matrix->units * PANEL;
            own.depth = end - u < STEP ? end - u : STEP;
            own.bias = u > begin || finish == ADD ? NULL : matrix->bias + o;
            own.out = out + (o - span[0]);
            if (matrix->kind == INT8) {
                own.scales = matrix->scales + o;
                add_sums(matrix, o, u == begin ? span[2] : 0, u == begin ? span[3] : 0,
                         sums); /* once, with the first step */
                tiled(INT8, &own, count);
            } else if (matrix->kind == BFLOAT16) {
                tiled(BFLOAT16, &own, count);
            } else {
                block(FLOAT32, &own, count);
            }
            if (u + STEP >= end && finish > ADD) finish_rows(own.out, out_stride, count, finish);
        }
#if SIDE > 1
    if (matrix->kind != FLOAT32) _tile_release();
#endif
}

void NF(product)(const nf_matrix *matrix, const ptrdiff_t span[4], const float *in,
                 ptrdiff_t in_stride, ptrdiff_t count, float *room, float *out,
                 ptrdiff_t out_stride, int finish) {
    const nf_inputs ready =
        NF(prepare)(matrix->kind, in, in_stride, count, span[3] - span[2], room);
    NF(multiply)(matrix, span, &ready, count, out, out_stride, finish);
}

int NF(lanes)(void) { return LANES; }
