#include "activation.h"
#include "model.h"

#define GROUP                                                                                 \
    144 /* tokens: sequences of as many in all go through a layer together, so that what lies \
           between its steps stays in cache */
#define BLOCK 144 /* tokens that meet a weight panel while it is in the first-level cache */

/* How many of the feed-forward layer's inner values are there at once. */
static ptrdiff_t slice_of(const nf_model *model) {
    return padded(model->intermediate) < SLICE ? padded(model->intermediate) : SLICE;
}

/* Floats that `prepare` needs for one token's inputs of any matrix. */
static ptrdiff_t room_of(const nf_model *model) {
    return (padded(model->hidden) > slice_of(model) ? padded(model->hidden) : slice_of(model)) + 2;
}

ptrdiff_t NF(layer_scratch)(const nf_model *model, ptrdiff_t longest) {
    const ptrdiff_t grouped = GROUP + longest;
    return grouped * padded(3 * model->hidden) + NF(attention_scratch)(model, longest) +
           BLOCK * (slice_of(model) + 2 * padded(model->hidden) + 2 * room_of(model));
}

int64_t NF(scratch)(const nf_model *model, int64_t tokens, int64_t longest) {
    return tokens * padded(model->hidden) + NF(layer_scratch)(model, longest);
}

static int64_t embed(const nf_model *model, const int32_t *ids, ptrdiff_t length, float *out,
                     ptrdiff_t stride) {
    const ptrdiff_t width = model->embedded;
    ptrdiff_t counted = 0;
    for (ptrdiff_t t = 0; t < length; t++) {
        const ptrdiff_t place =
            model->padding < 0 ? t : model->padding + (ids[t] == model->padding ? 0 : ++counted);
        if (ids[t] < 0 || ids[t] >= model->vocabulary || place >= model->reach) return 1 + t;
        const float *word = model->words + (ptrdiff_t)ids[t] * width,
                    *position = model->positions + place * width;
        for (ptrdiff_t k = 0; k < width; k++)
            out[t * stride + k] = word[k] + (model->type ? model->type[k] : 0.0f) + position[k];
    }
    NF(normalise_rows)(out, stride, length, width, NULL, &model->embedding, model->epsilon, out,
                       stride, NULL, NULL);
    return 0;
}

/* Embeddings of all sequences, each row `hidden` wide. */
static int64_t embed_all(const nf_model *model, const int32_t *ids, const int64_t *offsets,
                         int64_t count, float *states, float *scratch) {
    const ptrdiff_t stride = padded(model->hidden), all[] = {0, model->hidden, 0, model->embedded};
    for (int64_t i = 0; i < count; i++) {
        const int64_t wrong = embed(model, ids + offsets[i], offsets[i + 1] - offsets[i],
                                    states + offsets[i] * stride, stride);
        if (wrong) return wrong + offsets[i];
    }
    for (int64_t first = 0; model->enlarge.panels && first < offsets[count]; first += BLOCK) {
        const ptrdiff_t rows = offsets[count] - first < BLOCK ? offsets[count] - first : BLOCK;
        memcpy(scratch, states + first * stride, sizeof(float) * (size_t)(rows * stride));
        NF(product)(&model->enlarge, all, scratch, stride, rows, scratch + BLOCK * stride,
                    states + first * stride, stride, STORE);
    }
    return 0;
}

/* The tape after its first `tokens` rows of `projected` and `rows` rows of all else. */
nf_tape NF(tape_after)(const nf_model *model, nf_tape tape, ptrdiff_t tokens, ptrdiff_t rows) {
    const ptrdiff_t stride = padded(model->hidden);
    tape.projected += tokens * padded(3 * model->hidden);
    tape.mixed += rows * stride;
    tape.inner += rows * padded(model->intermediate);
    tape.attended += rows * stride;
    tape.finished += rows * stride;
    tape.attended_factors += rows;
    tape.finished_factors += rows;
    return tape;
}

/* The half of a layer after attention, in place: `states` (count, hidden) with what their tokens
 * gathered. */
static void feed_forward(const nf_model *model, const nf_layer *layer, const float *gathered,
                         ptrdiff_t gathered_stride, ptrdiff_t count, float *states, float *scratch,
                         nf_tape tape) {
    const ptrdiff_t hidden = model->hidden, stride = padded(hidden), inner = model->intermediate,
                    width = slice_of(model);
    const ptrdiff_t all[] = {0, hidden, 0, hidden};
    float *sums = scratch, *slice = scratch + BLOCK * stride, *room = slice + BLOCK * width;
    for (ptrdiff_t rows; count > 0;
         count -= rows, states += rows * stride, gathered += rows * gathered_stride) {
        rows = count < BLOCK ? count : BLOCK;
        NF(product)(&layer->out, all, gathered, gathered_stride, rows, room, states, stride, ADD);
        NF(normalise_rows)(states, stride, rows, hidden, layer->out.bias, &layer->attended,
                           model->epsilon, states, stride, tape.attended, tape.attended_factors);
        memcpy(sums, states, sizeof(float) * (size_t)(rows * stride));
        const nf_inputs ready = NF(prepare)(layer->up.kind, states, stride, rows, hidden, room);
        for (ptrdiff_t from = 0; from < inner; from += width) {
            const ptrdiff_t to = from + width < inner ? from + width : inner,
                            span[] = {from, to, 0, hidden};
            if (tape.inner) {
                NF(multiply)(&layer->up, span, &ready, rows, tape.inner + from, padded(inner),
                             STORE);
                activate(model->activation, tape.inner + from, padded(inner), rows,
                         padded(to - from), slice, width);
            } else {
                NF(multiply)(&layer->up, span, &ready, rows, slice, width, model->activation);
            }
            NF(product)(&layer->down, (ptrdiff_t[]){0, hidden, from, to}, slice, width, rows,
                        room + rows * room_of(model), sums, stride, ADD);
        }
        NF(normalise_rows)(sums, stride, rows, hidden, layer->down.bias, &layer->finished,
                           model->epsilon, states, stride, tape.finished, tape.finished_factors);
        if (tape.inner) tape = NF(tape_after)(model, tape, 0, rows);
    }
}

static ptrdiff_t end_of_group(const int64_t *offsets, ptrdiff_t first, ptrdiff_t count) {
    ptrdiff_t end = first + 1;
    while (end < count && offsets[end] - offsets[first] < GROUP) end++;
    return end;
}

/* Queries, keys and values of each token of `count` sequences, one row of `projected` a token. */
static void project(const nf_model *model, const nf_layer *layer, const float *states,
                    ptrdiff_t tokens, float *projected, float *room) {
    const ptrdiff_t hidden = model->hidden, stride = padded(hidden), wide = padded(3 * hidden),
                    all[] = {0, 3 * hidden, 0, hidden};
    for (ptrdiff_t first = 0; first < tokens; first += BLOCK)
        NF(product)(&layer->projected, all, states + first * stride, stride,
                    tokens - first < BLOCK ? tokens - first : BLOCK, room, projected + first * wide,
                    wide, STORE);
}

/* One layer over `count` sequences, in place. `tape`: NULL, or what is kept of their tokens, which
 * begin at offsets[0]. */
void NF(run_layer)(const nf_model *model, const nf_layer *layer, const int64_t *offsets,
                   ptrdiff_t count, float *states, float *scratch, const nf_tape *tape) {
    const ptrdiff_t stride = padded(model->hidden), wide = padded(3 * model->hidden);
    for (ptrdiff_t first = 0, end; first < count; first = end) {
        end = end_of_group(offsets, first, count);
        const ptrdiff_t tokens = offsets[end] - offsets[first],
                        before = offsets[first] - offsets[0];
        const nf_tape kept = tape ? NF(tape_after)(model, *tape, before, before) : (nf_tape){0};
        float *group = states + before * stride, *projected = tape ? kept.projected : scratch;
        float *mixed = tape ? kept.mixed : projected, *rest = scratch + tokens * wide;
        const ptrdiff_t mixed_stride = tape ? stride : wide;
        project(model, layer, group, tokens, projected, rest);
        for (ptrdiff_t i = first; i < end; i++) {
            const ptrdiff_t length = offsets[i + 1] - offsets[i], at = offsets[i] - offsets[first],
                            all[] = {0, length};
            NF(attend)(model, projected + at * wide, wide, length, all, mixed + at * mixed_stride,
                       mixed_stride, rest);
        }
        feed_forward(model, layer, mixed, mixed_stride, tokens, group, rest, kept);
    }
}

/* The last layer where the state of one token of each sequence is wanted, the one `picked[i]`
 * tokens after its first, or, where `picked` is NULL, the one that is pooled: that one alone is
 * finished, and row i of `states` becomes its state. `gathered` (count, hidden) is overwritten.
 * `tape`: NULL, or what is kept, `projected` of all tokens, all else of the picked ones; `gathered`
 * is then its `mixed`. */
void NF(run_last_layer)(const nf_model *model, const nf_layer *layer, const int64_t *offsets,
                        ptrdiff_t count, const int64_t *picked, ptrdiff_t skipped, float *states,
                        float *gathered, ptrdiff_t gathered_stride, float *scratch,
                        const nf_tape *tape) {
    const ptrdiff_t stride = padded(model->hidden), wide = padded(3 * model->hidden);
    for (ptrdiff_t first = 0, end; first < count; first = end) {
        end = end_of_group(offsets, first, count);
        const ptrdiff_t tokens = offsets[end] - offsets[first],
                        before = offsets[first] - offsets[0];
        float *projected = tape ? tape->projected + before * wide : scratch,
              *rest = scratch + tokens * wide;
        project(model, layer, states + before * stride, tokens, projected, rest);
        for (ptrdiff_t i = first; i < end; i++) {
            const ptrdiff_t at = offsets[i] - offsets[first], length = offsets[i + 1] - offsets[i];
            const ptrdiff_t own = picked                  ? picked[i]
                                  : model->pooling == CLS ? skipped
                                                          : length - 1,
                            only[] = {own, own + 1};
            NF(attend)(model, projected + at * wide, wide, length, only,
                       gathered + i * gathered_stride, gathered_stride, rest);
            memmove(states + i * stride, states + (before + at + own) * stride,
                    sizeof(float) * (size_t)stride);
        }
    }
    feed_forward(model, layer, gathered, gathered_stride, count, states, scratch,
                 tape ? *tape : (nf_tape){0});
}

/* How many sequences, from the first, have a token to pool. They lie longest first. */
static ptrdiff_t pooled(const int64_t *offsets, ptrdiff_t count, ptrdiff_t skipped) {
    while (count > 0 && offsets[count] - offsets[count - 1] <= skipped) count--;
    return count;
}

int64_t NF(encode)(const nf_model *model, const int32_t *ids, const int64_t *offsets, int64_t count,
                   int64_t skipped, float *scratch, float *vectors) {
    const ptrdiff_t hidden = model->hidden, stride = padded(hidden),
                    kept = pooled(offsets, count, skipped);
    const int one = model->pooling == CLS || model->pooling == LAST;
    float *states = scratch, *rest = scratch + offsets[count] * stride;
    const int64_t wrong = embed_all(model, ids, offsets, count, states, rest);
    if (wrong) return wrong;
    for (int l = 0; l < model->layer_count - one; l++)
        NF(run_layer)(model, &model->layers[l], offsets, kept, states, rest, NULL);
    const nf_layer *last = &model->layers[model->layer_count - 1];
    if (one)
        NF(run_last_layer)(model, last, offsets, kept, NULL, skipped, states, vectors, hidden, rest,
                           NULL);
    for (ptrdiff_t i = 0; i < kept; i++) {
        if (one)
            memcpy(vectors + i * hidden, states + i * stride, sizeof(float) * (size_t)hidden);
        else
            NF(pool)(model, states + offsets[i] * stride, stride, offsets[i + 1] - offsets[i],
                     skipped, vectors + i * hidden);
    }
    memset(vectors + kept * hidden, 0, sizeof(float) * (size_t)((count - kept) * hidden));
    return 0;
}
