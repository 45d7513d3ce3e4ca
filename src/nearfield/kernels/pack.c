#include "dot.h"
#include "matrix.h"

INLINE uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The nearest bfloat16, ties to even. */
INLINE uint32_t bfloat16_of(float x) {
    const uint32_t bits = bits_of(x);
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

int64_t NF(units)(int kind, int64_t columns) {
    const int64_t held = kind == FLOAT32 ? 1 : kind == BFLOAT16 ? 2 : UNIT_INT8;
    const int64_t units = (columns + held - 1) / held;
    return kind == FLOAT32 ? units : (units + SIDE - 1) / SIDE * SIDE;
}

static void pack_int8(const nf_matrix *matrix, const float *row, ptrdiff_t at, uint32_t *to) {
    const ptrdiff_t columns = matrix->columns;
    float most = 0.0f;
    for (ptrdiff_t k = 0; k < columns; k++) most = fabsf(row[k]) > most ? fabsf(row[k]) : most;
    const float scale = most > 0.0f ? most / 127.0f : 1.0f;
    matrix->scales[at] = scale;
    for (ptrdiff_t k = 0; k < columns; k++) {
        const int32_t weight = (int32_t)lrintf(row[k] / scale);
        const uint32_t bits = (uint32_t)weight & (UNIT_INT8 == 4 ? 255u : 65535u);
        to[k / UNIT_INT8 * PANEL] |= bits << k % UNIT_INT8 * (32 / UNIT_INT8);
        matrix->sums[k / SLICE * padded(matrix->rows) + at] += (float)weight;
    }
    for (ptrdiff_t slice = 0; slice * SLICE < columns; slice++)
        matrix->sums[slice * padded(matrix->rows) + at] *= scale;
}

void NF(pack)(const nf_matrix *matrix, const float *rows, ptrdiff_t count, ptrdiff_t first) {
    const ptrdiff_t columns = matrix->columns, units = matrix->units;
    for (ptrdiff_t at = first, end; at < first + count; at = end) {
        end =
            at / PANEL * PANEL + PANEL < first + count ? at / PANEL * PANEL + PANEL : first + count;
        const float *from = rows + (at - first) * columns;
        uint32_t *to = (uint32_t *)matrix->panels + at / PANEL * PANEL * units + at % PANEL;
        for (ptrdiff_t row = 0; row < end - at && matrix->kind == INT8; row++)
            pack_int8(matrix, from + row * columns, at + row, to + row);
        for (ptrdiff_t k = 0; k < columns && matrix->kind == FLOAT32; k++)
            for (ptrdiff_t row = 0; row < end - at; row++)
                to[k * PANEL + row] = bits_of(from[row * columns + k]);
        for (ptrdiff_t k = 0; k < columns && matrix->kind == BFLOAT16; k++)
            for (ptrdiff_t row = 0; row < end - at; row++)
                to[k / 2 * PANEL + row] |= bfloat16_of(from[row * columns + k]) << 16 * (k % 2);
    }
}

void NF(pack_columns)(const nf_matrix *matrix, const float *columns, ptrdiff_t stride) {
    const ptrdiff_t rows = matrix->rows, count = matrix->columns, units = matrix->units,
                    held = matrix->kind == FLOAT32 ? 1 : 2;
    uint32_t *to = (uint32_t *)matrix->panels;
    for (ptrdiff_t at = 0; at < rows; at += PANEL) {
        const ptrdiff_t filled = rows - at < PANEL ? rows - at : PANEL;
        const float *from = columns + at;
        for (ptrdiff_t u = 0; u < units; u++, to += PANEL, from += held * stride) {
            if (held == 1 && filled == PANEL) {
                store((float *)to, load(from));
                store((float *)to + LANES, load(from + LANES));
                continue;
            }
            for (ptrdiff_t r = 0; r < PANEL; r++) {
                if (r >= filled || held * u >= count)
                    to[r] = 0;
                else if (held == 1)
                    to[r] = bits_of(from[r]);
                else
                    to[r] = bfloat16_of(from[r]) |
                            (2 * u + 1 < count ? bfloat16_of(from[stride + r]) << 16 : 0);
            }
        }
    }
}

typedef uint8_t v8 __attribute__((vector_size(LANES), aligned(1), may_alias));
typedef uint16_t v16 __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

static void to_bfloat16(const float *in, ptrdiff_t depth, uint16_t *to, ptrdiff_t end) {
    ptrdiff_t k = 0;
    for (; k + LANES <= depth; k += LANES) {
        const vi bits = load_int(in + k);
        *(v16 *)(to + k) = __builtin_convertvector(
            (bits + splat_int(0x7fff) + (bits >> 16 & splat_int(1))) >> 16, v16);
    }
    for (; k < depth; k++) to[k] = (uint16_t)bfloat16_of(in[k]);
    for (; k < end; k++) to[k] = 0;
}

/* A row as integers from 0 to 255 between its least and its greatest value. */
static void to_int8(const float *in, ptrdiff_t depth, uint32_t *units, ptrdiff_t end, float *scale,
                    float *low) {
    const float shift =
        12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer that lies in the low bits */
    vf less = splat(in[0]), more = less;
    for (ptrdiff_t k = 0; k + LANES <= depth; k += LANES) {
        less = lesser(less, load(in + k));
        more = greater(more, load(in + k));
    }
    float least = -greatest_of(-less), most = greatest_of(more);
    for (ptrdiff_t k = depth / LANES * LANES; k < depth; k++) {
        least = in[k] < least ? in[k] : least;
        most = in[k] > most ? in[k] : most;
    }
    *low = least;
    *scale = most > least ? (most - least) / 255.0f : 1.0f;
    const float factor = 1.0f / *scale;
#if UNIT_INT8 == 4
    uint8_t *to = (uint8_t *)units;
    typedef v8 narrow;
#else
    uint16_t *to = (uint16_t *)units;
    typedef v16 narrow;
#endif
    for (ptrdiff_t unit = (depth - 1) / UNIT_INT8; unit < end; unit++)
        units[unit] = 0; /* what the depth does not fill is zero */
    ptrdiff_t k = 0;
    for (; k + LANES <= depth; k += LANES) {
        const vf whole =
            lesser((load(in + k) - splat(least)) * splat(factor), splat(255.0f)) + splat(shift);
        *(narrow *)(to + k) = __builtin_convertvector((vi)whole & splat_int(255), narrow);
    }
    for (; k < depth; k++) {
        const float level = (in[k] - least) * factor;
        to[k] = (uint8_t)(bits_of((level < 255.0f ? level : 255.0f) + shift) & 255u);
    }
}

nf_inputs NF(prepare)(int kind, const float *in, ptrdiff_t in_stride, ptrdiff_t count,
                      ptrdiff_t depth, float *room) {
    nf_inputs ready = {(const uint32_t *)in, in_stride, NULL, NULL};
    if (kind == FLOAT32) return ready;
    float *scales = room, *lows = room + count;
    uint32_t *units = (uint32_t *)(room + 2 * count);
    const ptrdiff_t stride = NF(units)(kind, depth);
    for (ptrdiff_t i = 0; i < count; i++) {
        if (kind == BFLOAT16)
            to_bfloat16(in + i * in_stride, depth, (uint16_t *)(units + i * stride), 2 * stride);
        if (kind == INT8)
            to_int8(in + i * in_stride, depth, units + i * stride, stride, scales + i, lows + i);
    }
    return (nf_inputs){units, stride, scales, lows};
}
