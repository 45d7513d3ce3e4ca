/* Products by the tile registers of AMX: 16 rows by 16 columns, 16 units of the depth at a time
 * (Intel's manual for developers, volume 1, "Programming with Intel AMX"). */
#ifndef NEARFIELD_TILES_H
#define NEARFIELD_TILES_H

#include "dot.h"
#include "matrix.h"

#if SIDE > 1
/* Settled memory: the compiler does not know what the instructions below read. */
#define SETTLED(at) __asm__ volatile("" ::"r"(at) : "memory")

/* Registers 0 to 3 hold sums, two by two blocks of them; 4 and 5 the inputs of `upper` and of
 * `lower` rows; 6 and 7 weights. */
static void shape_tiles(ptrdiff_t upper, ptrdiff_t lower) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shapes = {.palette = 1};
    const ptrdiff_t rows[8] = {upper, upper, lower, lower, upper, lower, SIDE, SIDE};
    for (int i = 0; i < 8; i++) {
        shapes.bytes[i] = 4 * SIDE;
        shapes.rows[i] =
            (uint8_t)(rows[i] ? rows[i]
                              : 1); /* none is not allowed, even of a register that is not used */
    }
    SETTLED(&shapes);
    _tile_loadconfig(&shapes);
}

#define MEET(sums, inputs, weights)                \
    do {                                           \
        if (kind == INT8)                          \
            _tile_dpbusd(sums, inputs, weights);   \
        else                                       \
            _tile_dpbf16ps(sums, inputs, weights); \
    } while (0)

/* sums (32, PANEL) = in . panel, of as many rows as the registers are shaped for; `depth` is a
 * multiple of SIDE. Of bytes they are integers. */
INLINE void tile_sums(const int kind, const uint32_t *in, ptrdiff_t in_stride,
                      const uint32_t *panel, ptrdiff_t depth, ptrdiff_t lower, void *sums) {
    float *to = sums;
    SETTLED(in);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (ptrdiff_t u = 0; u < depth; u += SIDE) {
        _tile_loadd(6, panel + u * PANEL, 4 * PANEL);
        _tile_loadd(4, in + u, 4 * in_stride);
        MEET(0, 4, 6);
        _tile_loadd(7, panel + u * PANEL + SIDE, 4 * PANEL);
        MEET(1, 4, 7);
        if (lower) {
            _tile_loadd(5, in + SIDE * in_stride + u, 4 * in_stride);
            MEET(2, 5, 6);
            MEET(3, 5, 7);
        }
    }
    _tile_stored(0, to, 4 * PANEL);
    _tile_stored(1, to + SIDE, 4 * PANEL);
    if (lower) {
        _tile_stored(2, to + SIDE * PANEL, 4 * PANEL);
        _tile_stored(3, to + SIDE * PANEL + SIDE, 4 * PANEL);
    }
}

#endif
#endif
