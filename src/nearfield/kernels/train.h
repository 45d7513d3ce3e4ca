/* The layers of a post-norm encoder, forward with what their way back needs kept, and back. Float32
 * but for the products, which are of the weights' kind (float32 or bfloat16). */
#ifndef NEARFIELD_TRAIN_H
#define NEARFIELD_TRAIN_H

#include "model.h"

/* The weights of a layer turned round, as many rows as they have inputs: what takes gradients back
 * through it. `bias` is zeros. */
typedef struct {
    nf_matrix projected, out, up, down;
} nf_turned;

/* Gradients of a linear layer: `weight` (rows, padded(columns)), whose columns past the last are of
 * no meaning, and `bias` (rows,). */
typedef struct {
    float *weight, *bias;
} nf_slope;

/* Gradients of a layer; the norms' are (hidden,) each. */
typedef struct {
    nf_slope projected, out, up, down, attended, finished;
} nf_slopes;

/* Floats of what is kept of `tokens` tokens in a layer. */
int64_t NF(kept)(const nf_model *model, int64_t tokens);

/* Floats of scratch memory that `forward` and `backward` need for `tokens` tokens in sequences of
 * at most `longest`. */
int64_t NF(forward_scratch)(const nf_model *model, int64_t tokens, int64_t longest);
int64_t NF(backward_scratch)(const nf_model *model, int64_t tokens, int64_t longest);

/* `states` (T, hidden) become those after all layers, of `count` sequences end to end: sequence i
 * is the tokens offsets[i]... offsets[i + 1]. `picked`: NULL, or of each sequence the token, from
 * its first, whose state alone is wanted; all others become zeros. `kept`: NULL, or layer_count x
 * kept(T) floats. */
void NF(forward)(const nf_model *model, float *states, const int64_t *offsets, int64_t count,
                 const int64_t *picked, float *kept, float *scratch);

/* The way back: `gradient` (T, hidden), of a loss by the states after all layers, becomes that by
 * the states before them, `first` (T, hidden), which `kept` was made from, or nothing of use where
 * that is not `wanted`. Adds to `slopes`, one a layer, and to `distances` (heads, 2 x reach - 1),
 * the gradient by model->distances, unless it is NULL. */
void NF(backward)(const nf_model *model, const nf_turned *turned, const float *first,
                  const int64_t *offsets, int64_t count, const int64_t *picked, float *kept,
                  const nf_slopes *slopes, float *distances, float *gradient, int wanted,
                  float *scratch);

/* Within backward. */
ptrdiff_t NF(attention_back_scratch)(const nf_model *model, ptrdiff_t longest);
void NF(attend_back)(const nf_model *model, const float *projected, ptrdiff_t stride,
                     const float *mixed, const float *gradient, ptrdiff_t mixed_stride,
                     ptrdiff_t length, const ptrdiff_t only[2], float *back, float *distances,
                     float *scratch);
void NF(normalise_back)(float *gradient, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t width,
                        const float *kept, const float *factors, const float *weight,
                        const nf_slope *slope);

#endif
