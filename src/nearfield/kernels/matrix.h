/* A weight matrix as the kernels keep it, and products with it. */
#ifndef NEARFIELD_MATRIX_H
#define NEARFIELD_MATRIX_H

#include "level.h"

enum { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2 };
enum {
    STORE = 0,
    ADD = 1,
    GELU = 2,
    GELU_TANH = 3,
    RELU = 4,
    SILU = 5
}; /* what becomes of a product */

#define SLICE                                                                                 \
    384 /* inputs: an 8-bit matrix has a sum for each so many, and parts of products begin at \
           multiples of it */

/* `rows` outputs of `columns` inputs, in units of four bytes: one float32, two bfloat16, four or
 * two (UNIT_INT8) 8-bit integers. For tiles (SIDE in dot.h) zeros fill the units of the latter two
 * up. `panels` holds PANEL rows side by side: panel p, unit u, row r of the panel lies at unit (p *
 * units + u) * PANEL + r. `bias` has padded(rows) floats, zeros past `rows`. An 8-bit weight is an
 * integer times its row's scale; `sums` (slices, padded(rows)) are those of a row's weights over
 * each slice. */
typedef struct {
    int32_t kind, rows, columns, units;
    void *panels;
    const float *bias;
    float *scales, *sums;
} nf_matrix;

/* Inputs as a matrix wants to meet them: rows of units, `stride` units apart. Where they are 8-bit
 * integers, those of row i stand for integer * scales[i] + lows[i]. */
typedef struct {
    const uint32_t *units;
    ptrdiff_t stride;
    const float *scales, *lows;
} nf_inputs;

/* The floats of a register. */
int NF(lanes)(void);

/* Rows `first`... of a matrix from `count` rows of its `columns` floats. Panels, scales and sums
 * that no row fills must be zero. */
void NF(pack)(const nf_matrix *matrix, const float *rows, ptrdiff_t count, ptrdiff_t first);

/* A float32 or bfloat16 matrix from its columns: `matrix->columns` rows, `stride` apart, of its
 * `rows` floats. Writes all of it. */
void NF(pack_columns)(const nf_matrix *matrix, const float *columns, ptrdiff_t stride);

/* The units of a matrix of `kind` that `columns` inputs take. */
int64_t NF(units)(int kind, int64_t columns);

/* `count` rows of `depth` floats as a matrix of `kind` wants them, in `room`: count *
 * (padded(depth) + 2) floats. float32 stays where it is. */
nf_inputs NF(prepare)(int kind, const float *in, ptrdiff_t in_stride, ptrdiff_t count,
                      ptrdiff_t depth, float *room);

/* out[i, o] = input i . row o of `matrix` (+ bias), for outputs span[0]... span[1] (multiples of
 * PANEL, or the end) and inputs span[2]... span[3] (multiples of SLICE, or the end); `in` begins at
 * input span[2] and `out` at output span[0]. With ADD the product is added to `out` and the bias is
 * left out; the others take the bias and apply what they are called. */
void NF(multiply)(const nf_matrix *matrix, const ptrdiff_t span[4], const nf_inputs *in,
                  ptrdiff_t count, float *out, ptrdiff_t out_stride, int finish);

/* prepare and multiply at once. */
void NF(product)(const nf_matrix *matrix, const ptrdiff_t span[4], const float *in,
                 ptrdiff_t in_stride, ptrdiff_t count, float *room, float *out,
                 ptrdiff_t out_stride, int finish);

/* out[i, 0..PANEL) = in[i, 0..depth) . panel, whose rows lie `panel_stride` apart: float32 that is
 * no weight. With ADD it is added to `out`. */
void NF(block)(const float *in, ptrdiff_t in_stride, ptrdiff_t count, const float *panel,
               ptrdiff_t panel_stride, ptrdiff_t depth, float *out, ptrdiff_t out_stride,
               int finish);

#endif
