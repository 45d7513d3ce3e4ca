#include "train.h"

#include "activation.h"
#include "fours.h"

#define GROUP 384 /* tokens: whole sequences of as many in all go back through a layer together */
#define BLOCK 144 /* tokens that meet a weight panel while it is in the first-level cache */
#define ROWS                                                                                       \
    96 /* rows of a weight whose gradient is summed up together: they stay in a second-level cache \
        */

static ptrdiff_t widest(const nf_model *model) {
    const ptrdiff_t wide = padded(3 * model->hidden), inner = padded(model->intermediate);
    return wide > inner ? wide : inner;
}

int64_t NF(kept)(const nf_model *model, int64_t tokens) {
    const int64_t row =
        padded(3 * model->hidden) + 3 * padded(model->hidden) + padded(model->intermediate);
    return tokens * row + padded(2 * tokens) +
           PANEL; /* attention's way back reads past the last row */
}

static nf_tape tape_of(const nf_model *model, float *kept, ptrdiff_t tokens) {
    const ptrdiff_t stride = padded(model->hidden);
    nf_tape tape;
    tape.projected = kept;
    tape.mixed = tape.projected + tokens * padded(3 * model->hidden);
    tape.inner = tape.mixed + tokens * stride;
    tape.attended = tape.inner + tokens * padded(model->intermediate);
    tape.finished = tape.attended + tokens * stride;
    tape.attended_factors = tape.finished + tokens * stride;
    tape.finished_factors = tape.attended_factors + tokens;
    return tape;
}

static void copy_rows(const float *from, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t width,
                      float *to, ptrdiff_t to_stride) {
    for (ptrdiff_t i = 0; i < count; i++)
        memcpy(to + i * to_stride, from + i * stride, sizeof(float) * (size_t)width);
}

int64_t NF(forward_scratch)(const nf_model *model, int64_t tokens, int64_t longest) {
    return tokens * padded(model->hidden) + NF(layer_scratch)(model, longest);
}

void NF(forward)(const nf_model *model, float *states, const int64_t *offsets, int64_t count,
                 const int64_t *picked, float *kept, float *scratch) {
    const ptrdiff_t hidden = model->hidden, stride = padded(hidden),
                    tokens = offsets[count] - offsets[0];
    float *rest = scratch + tokens * stride;
    copy_rows(states, hidden, tokens, hidden, scratch, stride);
    for (int l = 0; l < model->layer_count; l++) {
        const nf_layer *layer = &model->layers[l];
        const nf_tape tape =
            kept ? tape_of(model, kept + l * NF(kept)(model, tokens), tokens) : (nf_tape){0};
        if (picked && l == model->layer_count - 1)
            NF(run_last_layer)(model, layer, offsets, count, picked, 0, scratch,
                               kept ? tape.mixed : states, kept ? stride : hidden, rest,
                               kept ? &tape : NULL);
        else
            NF(run_layer)(model, layer, offsets, count, scratch, rest, kept ? &tape : NULL);
    }
    if (!picked) copy_rows(scratch, stride, tokens, hidden, states, hidden);
    if (picked) memset(states, 0, sizeof(float) * (size_t)(tokens * hidden));
    for (ptrdiff_t i = 0; picked && i < count; i++)
        memcpy(states + (offsets[i] - offsets[0] + picked[i]) * hidden, scratch + i * stride,
               sizeof(float) * (size_t)hidden);
}

/* Through a layer norm: `gradient` by its output becomes that by its input. With r = `kept` (mean
 * 0, variance 1), g = gradient * weight and f the factor, it is f (g - mean(g) - r mean(g r)). */
void NF(normalise_back)(float *gradient, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t width,
                        const float *kept, const float *factors, const float *weight,
                        const nf_slope *slope) {
    for (ptrdiff_t i = 0; i < count; i++, gradient += stride, kept += stride) {
        float total = 0.0f, along = 0.0f;
        const ptrdiff_t whole = width / LANES * LANES;
        vf totals = splat(0.0f), alongs = splat(0.0f);
        for (ptrdiff_t k = 0; k < whole; k += LANES) {
            const vf g = load(gradient + k), r = load(kept + k), scaled = g * load(weight + k);
            store(slope->bias + k, load(slope->bias + k) + g);
            store(slope->weight + k, load(slope->weight + k) + g * r);
            totals += scaled;
            alongs += scaled * r;
        }
        for (ptrdiff_t k = whole; k < width; k++) {
            slope->bias[k] += gradient[k];
            slope->weight[k] += gradient[k] * kept[k];
            total += gradient[k] * weight[k];
            along += gradient[k] * weight[k] * kept[k];
        }
        total = (total + sum_of(totals)) / (float)width;
        along = (along + sum_of(alongs)) / (float)width;
        for (ptrdiff_t k = 0; k < whole; k += LANES)
            store(gradient + k, (load(gradient + k) * load(weight + k) - splat(total) -
                                 load(kept + k) * splat(along)) *
                                    splat(factors[i]));
        for (ptrdiff_t k = whole; k < width; k++)
            gradient[k] = (gradient[k] * weight[k] - total - kept[k] * along) * factors[i];
    }
}

/* What a layer norm made of `kept`. */
static void scaled_rows(const float *kept, ptrdiff_t count, ptrdiff_t width, const nf_norm *norm,
                        float *out) {
    const ptrdiff_t stride = padded(width);
    for (ptrdiff_t i = 0; i < count; i++, kept += stride, out += stride)
        for (ptrdiff_t k = 0; k < width; k++) out[k] = kept[k] * norm->weight[k] + norm->bias[k];
}

/* Floats that `add_slope` needs: the inputs in panels, some outputs' gradients turned round, and
 * these as a matrix wants to meet them. */
static ptrdiff_t slope_scratch(const nf_model *model, ptrdiff_t tokens) {
    return widest(model) * padded(tokens) + ROWS * (2 * padded(tokens) + 2);
}

/* The gradients of a linear layer with `rows` outputs, by which the gradient is `gradient`, of
 * `columns` inputs `in`, over `tokens` tokens: weight += gradient' in. */
static void add_slope(int kind, const float *gradient, ptrdiff_t stride, ptrdiff_t rows,
                      const float *in, ptrdiff_t in_stride, ptrdiff_t columns, ptrdiff_t tokens,
                      const nf_slope *slope, float *scratch) {
    const ptrdiff_t units = NF(units)(kind, tokens), all[] = {0, columns, 0, tokens};
    float *panels = scratch, *turned = panels + padded(columns) * units,
          *room = turned + ROWS * padded(tokens);
    const nf_matrix inputs = {.kind = kind,
                              .rows = (int32_t)columns,
                              .columns = (int32_t)tokens,
                              .units = (int32_t)units,
                              .panels = panels};
    NF(pack_columns)(&inputs, in, in_stride);
    for (ptrdiff_t first = 0; first < rows; first += ROWS) {
        const ptrdiff_t count = rows - first < ROWS ? rows - first : ROWS;
        turn(gradient + first, stride, tokens, count, turned, padded(tokens));
        NF(product)(&inputs, all, turned, padded(tokens), count, room,
                    slope->weight + first * padded(columns), padded(columns), ADD);
    }
    for (ptrdiff_t t = 0; t < tokens; t++)
        for (ptrdiff_t r = 0; r < rows; r++) slope->bias[r] += gradient[t * stride + r];
}

/* out = gradient . matrix turned round, of all tokens. */
static void take_back(const nf_matrix *turned, const float *gradient, ptrdiff_t stride,
                      ptrdiff_t tokens, float *out, ptrdiff_t out_stride, int finish, float *room) {
    const ptrdiff_t all[] = {0, turned->rows, 0, turned->columns};
    for (ptrdiff_t first = 0; first < tokens; first += BLOCK)
        NF(product)(turned, all, gradient + first * stride, stride,
                    tokens - first < BLOCK ? tokens - first : BLOCK, room, out + first * out_stride,
                    out_stride, finish);
}

static ptrdiff_t group_scratch(const nf_model *model, ptrdiff_t longest) {
    const ptrdiff_t tokens = GROUP + longest, stride = padded(model->hidden);
    const ptrdiff_t slope = slope_scratch(model, tokens),
                    attention = NF(attention_back_scratch)(model, longest);
    const ptrdiff_t room = BLOCK * (widest(model) + 2),
                    shared = slope > attention ? slope : attention;
    return tokens * (2 * widest(model) + stride) + (shared > room ? shared : room);
}

int64_t NF(backward_scratch)(const nf_model *model, int64_t tokens, int64_t longest) {
    return tokens * padded(model->hidden) + group_scratch(model, longest);
}

/* `tokens` tokens back through a layer, from its end to what attention gathered: `gradient`
 * (tokens, padded(hidden)) becomes that by the layer's inputs beside attention, and the tape's
 * `finished`, which nobody needs from there on, the gradient by its `mixed`. */
static void upper_back(const nf_model *model, const nf_layer *layer, const nf_turned *turned,
                       const nf_tape *tape, ptrdiff_t tokens, const nf_slopes *slopes,
                       float *gradient, float *scratch) {
    const ptrdiff_t hidden = model->hidden, stride = padded(hidden), inner = model->intermediate,
                    deep = padded(inner);
    const int kind = layer->up.kind;
    float *active = scratch, *steep = active + tokens * widest(model),
          *rows = steep + tokens * widest(model);
    float *rest = rows + tokens * stride;
    NF(normalise_back)(gradient, stride, tokens, hidden, tape->finished, tape->finished_factors,
                       layer->finished.weight, &slopes->finished);
    for (ptrdiff_t k = 0; k < tokens * deep; k += LANES) { /* what was kept becomes the slope */
        vf slope;
        store(active + k, finished_and_slope(model->activation, load(tape->inner + k), &slope));
        store(tape->inner + k, slope);
    }
    add_slope(kind, gradient, stride, hidden, active, deep, inner, tokens, &slopes->down, rest);
    take_back(&turned->down, gradient, stride, tokens, steep, deep, STORE, rest);
    for (ptrdiff_t k = 0; k < tokens * deep; k += LANES)
        store(steep + k, load(steep + k) * load(tape->inner + k));
    scaled_rows(tape->attended, tokens, hidden, &layer->attended, rows);
    add_slope(kind, steep, deep, inner, rows, stride, hidden, tokens, &slopes->up, rest);
    take_back(&turned->up, steep, deep, tokens, gradient, stride, ADD, rest);
    NF(normalise_back)(gradient, stride, tokens, hidden, tape->attended, tape->attended_factors,
                       layer->attended.weight, &slopes->attended);
    add_slope(kind, gradient, stride, hidden, tape->mixed, stride, hidden, tokens, &slopes->out,
              rest);
    take_back(&turned->out, gradient, stride, tokens, tape->finished, stride, STORE, rest);
}

/* Sequences `first`... `end`, whose tokens `tape`, `in` and `gradient` begin at, on through
 * attention: `gradient` as upper_back left it becomes that by the layer's inputs, if it is
 * `wanted`. `in`: these, as they are or, where `norm` is there, as the layer norm before it kept
 * them. Where tokens are picked, what upper_back left of them are the tape's rows `attended`, and
 * `gradient` is written only. */
static void lower_back(const nf_model *model, const nf_layer *layer, const nf_turned *turned,
                       const nf_tape *tape, const float *in, ptrdiff_t in_stride,
                       const nf_norm *norm, const int64_t *offsets, ptrdiff_t first, ptrdiff_t end,
                       const int64_t *picked, const nf_slopes *slopes, float *distances,
                       float *gradient, int wanted, float *scratch) {
    const ptrdiff_t hidden = model->hidden, stride = padded(hidden), wide = padded(3 * hidden),
                    tokens = offsets[end] - offsets[first];
    float *back = scratch, *rows = back + tokens * widest(model), *rest = rows + tokens * stride;
    if (picked) memset(back, 0, sizeof(float) * (size_t)(tokens * wide));
    for (ptrdiff_t i = first; i < end; i++) {
        const ptrdiff_t at = offsets[i] - offsets[first], row = picked ? i - first : at,
                        length = offsets[i + 1] - offsets[i];
        const ptrdiff_t only[] = {picked ? picked[i] : 0, picked ? picked[i] + 1 : length};
        NF(attend_back)(model, tape->projected + at * wide, wide, tape->mixed + row * stride,
                        tape->finished + row * stride, stride, length, only, back + at * wide,
                        distances, rest);
    }
    if (norm) {
        scaled_rows(in, tokens, hidden, norm, rows);
        in = rows, in_stride = stride;
    }
    add_slope(layer->projected.kind, back, wide, 3 * hidden, in, in_stride, hidden, tokens,
              &slopes->projected, rest);
    if (wanted)
        take_back(&turned->projected, back, wide, tokens, gradient, stride, picked ? STORE : ADD,
                  rest);
    for (ptrdiff_t i = first; wanted && picked && i < end; i++) {
        float *own = gradient + (offsets[i] - offsets[first] + picked[i]) * stride;
        for (ptrdiff_t k = 0; k < hidden; k++) own[k] += tape->attended[(i - first) * stride + k];
    }
}

/* The gradients of the picked tokens, of `count` sequences, back to what they gathered; the tape's
 * `attended` becomes what is left of them. */
static void picked_back(const nf_model *model, const nf_layer *layer, const nf_turned *turned,
                        const nf_tape *tape, const int64_t *offsets, ptrdiff_t count,
                        const int64_t *picked, const nf_slopes *slopes, float *gradient,
                        float *scratch) {
    const ptrdiff_t stride = padded(model->hidden);
    for (ptrdiff_t i = 0; i < count; i++)
        memmove(gradient + i * stride, gradient + (offsets[i] - offsets[0] + picked[i]) * stride,
                sizeof(float) * (size_t)stride);
    for (ptrdiff_t i = 0; i < count; i += GROUP) {
        const nf_tape own = NF(tape_after)(model, *tape, 0, i);
        upper_back(model, layer, turned, &own, count - i < GROUP ? count - i : GROUP, slopes,
                   gradient + i * stride, scratch);
    }
    memcpy(tape->attended, gradient, sizeof(float) * (size_t)(count * stride));
}

void NF(backward)(const nf_model *model, const nf_turned *turned, const float *first,
                  const int64_t *offsets, int64_t count, const int64_t *picked, float *kept,
                  const nf_slopes *slopes, float *distances, float *gradient, int wanted,
                  float *scratch) {
    const ptrdiff_t hidden = model->hidden, stride = padded(hidden),
                    tokens = offsets[count] - offsets[0];
    const int64_t each = NF(kept)(model, tokens);
    float *rest = scratch + tokens * stride;
    copy_rows(gradient, hidden, tokens, hidden, scratch, stride);
    for (int l = model->layer_count - 1; l >= 0; l--, picked = NULL) {
        const nf_layer *layer = &model->layers[l];
        const nf_tape whole = tape_of(model, kept + l * each, tokens);
        const float *in = l ? tape_of(model, kept + (l - 1) * each, tokens).finished : first;
        const nf_norm *norm = l ? &model->layers[l - 1].finished : NULL;
        const ptrdiff_t in_stride = l ? stride : hidden;
        if (picked)
            picked_back(model, layer, &turned[l], &whole, offsets, count, picked, &slopes[l],
                        scratch, rest);
        for (ptrdiff_t i = 0, end; i < count; i = end) {
            for (end = i + 1; end < count && offsets[end] - offsets[i] < GROUP;) end++;
            const ptrdiff_t at = offsets[i] - offsets[0];
            const nf_tape tape = NF(tape_after)(model, whole, at, picked ? i : at);
            if (!picked)
                upper_back(model, layer, &turned[l], &tape, offsets[end] - offsets[i], &slopes[l],
                           scratch + at * stride, rest);
            lower_back(model, layer, &turned[l], &tape, in + at * in_stride, in_stride, norm,
                       offsets, i, end, picked, &slopes[l], distances, scratch + at * stride,
                       l > 0 || wanted, rest);
        }
    }
    if (wanted) copy_rows(scratch, stride, tokens, hidden, gradient, hidden);
}
