/* A weight matrix as the kernels keep it, and products with it. */
#ifndef NEARFIELD_MATRIX_H
#define NEARFIELD_MATRIX_H

#include "level.h"

enum { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2 };
enum { STORE = 0, ADD = 1, GELU = 2, GELU_TANH = 3, RELU = 4, SILU = 5 }; /* what becomes of a product */

/* `rows` outputs of `columns` inputs. `panels` holds PANEL rows side by side: panel p, input k, row r of the panel lies at
 * (p * columns + k) * PANEL + r. `bias` has padded(rows) floats, zeros past `rows`. */
typedef struct {
    int32_t kind, rows, columns, unused;
    void *panels;
    const float *bias;
} nf_matrix;

/* Rows `first`... of a panelled matrix from `count` rows of `columns` floats. What no row fills must be zero before. */
void NF(pack)(const float *rows, ptrdiff_t count, ptrdiff_t columns, ptrdiff_t first, float *panels);

/* out[i, o] = in[i, :] . row o of `matrix` (+ bias), for outputs `from`... `to` (multiples of PANEL, or the end) and inputs
 * `in_from`... `in_to`; `in` points at input `in_from` and `out` at output `from`. With ADD the product is added to `out` and the
 * bias is left out; the others take the bias and apply what they are called. */
void NF(multiply)(const nf_matrix *matrix, const ptrdiff_t span[4], const float *in, ptrdiff_t in_stride, ptrdiff_t count, float *out,
                  ptrdiff_t out_stride, int finish);

/* out[i, 0..PANEL) (+)= in[i, 0..depth) . panel, rows PANEL apart: the block of which products are made. */
void NF(block)(const float *in, ptrdiff_t in_stride, ptrdiff_t count, const float *panel, ptrdiff_t depth, float *out, ptrdiff_t out_stride);

#endif
