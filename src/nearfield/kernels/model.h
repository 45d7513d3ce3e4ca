/* A post-norm transformer encoder (BERT and its kin) as the kernels keep it. Python owns all the
 * memory that is pointed at. */
#ifndef NEARFIELD_MODEL_H
#define NEARFIELD_MODEL_H

#include "matrix.h"

enum { CLS = 0, LAST = 1, MAX = 2, MEAN = 3, WEIGHTED = 4 };

typedef struct {
    const float *weight, *bias; /* (width,) */
} nf_norm;

typedef struct {
    nf_matrix
        projected; /* queries, keys and values of all heads, one after the other: 3 x hidden rows */
    nf_matrix out, up, down;
    nf_norm attended, finished;
} nf_layer;

typedef struct {
    int32_t hidden, heads, intermediate, layer_count, activation, pooling, normalise;
    int32_t
        embedded; /* width of the embeddings; `enlarge` takes them to `hidden` where they differ */
    int32_t vocabulary, reach; /* token ids and positions are below these */
    int32_t padding; /* -1: positions count from 0; else from padding + 1, where tokens of this id
                        do not count */
    float epsilon;
    const float *words, *positions,
        *type; /* (vocabulary, embedded), (reach, embedded), (embedded,) or NULL */
    nf_norm embedding;
    nf_matrix enlarge;
    const float *distances; /* NULL, or what is added to a score by head and by key place - query
                               place: (heads, 2 x reach - 1) and PANEL floats more */
    const nf_layer *layers;
} nf_model;

/* What of a layer's way forward its way back needs: rows of each token, NULL where it is not kept.
 * `attended` and `finished` are the rows that the layer norms scale (mean 0, variance 1),
 * `..._factors` what they were divided by, inverted. */
typedef struct {
    float *projected, *mixed,
        *inner; /* rows of padded(3 x hidden), padded(hidden), padded(intermediate) */
    float *attended, *finished; /* rows of padded(hidden) */
    float *attended_factors, *finished_factors;
} nf_tape;

/* Floats of scratch memory that `encode` needs for `tokens` tokens in sequences of at most
 * `longest`. */
int64_t NF(scratch)(const nf_model *model, int64_t tokens, int64_t longest);

/* Vectors (count, hidden) of `count` sequences end to end, longest first: sequence i is
 * ids[offsets[i]] ... ids[offsets[i + 1]]. The first `skipped` tokens of each are not pooled; a
 * sequence without a token to pool gives zeros. Returns 0, or 1 + the place of a token whose id or
 * position the model does not have. */
int64_t NF(encode)(const nf_model *model, const int32_t *ids, const int64_t *offsets, int64_t count,
                   int64_t skipped, float *scratch, float *vectors);

/* Within encode, and within what trains (train.h). */
ptrdiff_t NF(layer_scratch)(const nf_model *model, ptrdiff_t longest);
void NF(run_layer)(const nf_model *model, const nf_layer *layer, const int64_t *offsets,
                   ptrdiff_t count, float *states, float *scratch, const nf_tape *tape);
void NF(run_last_layer)(const nf_model *model, const nf_layer *layer, const int64_t *offsets,
                        ptrdiff_t count, const int64_t *picked, ptrdiff_t skipped, float *states,
                        float *gathered, ptrdiff_t gathered_stride, float *scratch,
                        const nf_tape *tape);
nf_tape NF(tape_after)(const nf_model *model, nf_tape tape, ptrdiff_t tokens, ptrdiff_t rows);
ptrdiff_t NF(attention_scratch)(const nf_model *model, ptrdiff_t longest);
void NF(attend)(const nf_model *model, const float *projected, ptrdiff_t stride, ptrdiff_t length,
                const ptrdiff_t only[2], float *mixed, ptrdiff_t mixed_stride, float *scratch);
void NF(normalise_rows)(float *rows, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t width,
                        const float *bias, const nf_norm *norm, float epsilon, float *out,
                        ptrdiff_t out_stride, float *kept, float *factors);
void NF(pool)(const nf_model *model, const float *states, ptrdiff_t stride, ptrdiff_t length,
              ptrdiff_t skipped, float *vector);

#endif
