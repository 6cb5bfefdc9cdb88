// The weights of a call as the products want them: packed once, then read from front to back by every tile.
#ifndef SUNHWAN_WEIGHTS_H
#define SUNHWAN_WEIGHTS_H

#include "plan.h"
#include "product.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

SUNHWAN_INLINE long least(long a, long b) { return a < b ? a : b; }
SUNHWAN_INLINE long most(long a, long b) { return a > b ? a : b; }

// Memory handed out from front to back; with no memory it only counts.
struct Arena {
  char *base;
  size_t used = 0;

  template <class T>
  T *take(long count) {
    T *taken = base ? (T *)(base + used) : nullptr;
    used += (count * sizeof(T) + 63) / 64 * 64;
    return taken;
  }
};

// Which gates' columns one product makes: those that share their operands.
struct Segment {
  int gate, gates, slot;  // gates [gate, gate + gates) into sums from `slot`
  bool x, h;
};

// A weight matrix in panels, for products with so many rows (k) and so many blocks of columns (product.h).
template <class Lanes>
struct Packed {
  float *data;
  int k;

  const float *panel(long block) const { return data + block * k * Lanes::WIDTH; }
  float *block(long first, int blocks, int row, int i) const {
    return data + first * k * Lanes::WIDTH + ((long)row * blocks + i) * Lanes::WIDTH;
  }
};

// What is the same for all tiles of a call.
template <class Cell, class Lanes>
struct Weights {
  static constexpr int G = Cell::GATES;
  static constexpr int WIDTH = Lanes::WIDTH;

  Plan plan;
  int h_blocks, x_blocks;  // of a slot's units, and features
  int tile_rows;           // of the slots of the largest tile: rows of the batch, or vectors of them
  int widest;              // panel
  Segment segments[2 * G];
  int segments_count = 0;
  Packed<Lanes> x, h;      // forward: columns of all gates
  Packed<Lanes> x_t, h_t;  // backward: transposed, one after the other for each gate
  float *bias;             // [SUMS][h_blocks][LANES]

  Weights(const sunhwan_recurrence &call, const Plan &plan_) : plan(plan_) {
    h_blocks = Lanes::blocks_of(plan.units);
    x_blocks = Lanes::blocks_of(plan.features);
    tile_rows = Lanes::rows_of(plan.tile_rows);
    widest = Lanes::widest_panel(tile_rows);
    bool one_operand = call.dropout_mask_gates <= 1 && call.recurrent_dropout_mask_gates <= 1;
    for (int gate = 0; gate < G; gate++) {
      bool together = Cell::H_SLOT[gate] == gate;
      Segment *last = segments_count ? &segments[segments_count - 1] : nullptr;
      if (!together) {
        segments[segments_count++] = {gate, 1, gate, true, false};
        segments[segments_count++] = {gate, 1, Cell::H_SLOT[gate], false, true};
      } else if (one_operand && last && gate != Cell::RESET_GATE) {
        last->gates++;
      } else {
        segments[segments_count++] = {gate, 1, gate, true, true};
      }
    }
  }

  // Floats of a slot, of units or features, in the largest tile.
  long h_slot() const { return (long)h_blocks * tile_rows * LANES; }
  long x_slot() const { return (long)x_blocks * tile_rows * LANES; }
  // Floats of a row of a weight gradient, in whole blocks.
  long columns() const { return (long)G * h_blocks * WIDTH; }

  void pack_forward(const sunhwan_recurrence &call, Arena &arena) {
    x = {arena.take<float>(columns() * plan.features), (int)plan.features};
    h = {arena.take<float>(columns() * plan.units), (int)plan.units};
    bias = arena.take<float>((long)Cell::SUMS * h_blocks * LANES);
    if (!arena.base) return;
    for (const Segment *s = segments; s < segments + segments_count; s++) {
      if (s->x) pack(x, call.kernel, *s);
      if (s->h) pack(h, call.recurrent_kernel, *s);
    }
    pack_bias(call.bias);
  }

  void pack_backward(const sunhwan_recurrence &call, bool for_inputs, Arena &arena) {
    h_t = {arena.take<float>((long)G * h_blocks * WIDTH * plan.units), (int)plan.units};
    x_t = {arena.take<float>(for_inputs ? (long)G * x_blocks * WIDTH * plan.units : 0), (int)plan.units};
    if (!arena.base) return;
    pack_transposed(h_t, call.recurrent_kernel, plan.units, h_blocks);
    if (for_inputs) pack_transposed(x_t, call.kernel, plan.features, x_blocks);
  }

  const float *transposed(const Packed<Lanes> &p, int gate, int blocks) const {
    return p.data + (long)gate * blocks * WIDTH * plan.units;
  }

 private:
  void pack(Packed<Lanes> &to, const float *matrix, const Segment &s) const {
    long end = (long)(s.gate + s.gates) * h_blocks;
    for (long first = (long)s.gate * h_blocks, n; first < end; first += n) {
      n = next_panel(end - first, widest);
      for (int i = 0; i < n; i++) {
        long gate = (first + i) / h_blocks, unit = (first + i) % h_blocks * WIDTH;
        const float *from = matrix + gate * plan.units + unit;
        for (int row = 0; row < to.k; row++, from += G * plan.units)
          Lanes::copy_block(from, least(plan.units - unit, WIDTH), to.block(first, n, row, i));
      }
    }
  }

  // For each gate, rows of its units and a block for WIDTH rows of the matrix.
  void pack_transposed(Packed<Lanes> &to, const float *matrix, long rows, int blocks) const {
    for (int gate = 0; gate < G; gate++) {
      Packed<Lanes> part = {to.data + (long)gate * blocks * WIDTH * plan.units, to.k};
      for (long first = 0, n; first < blocks; first += n) {
        n = next_panel(blocks - first, widest);
        for (int begin = 0; begin < to.k; begin += LANES)  // by square blocks, which stay in the nearest cache
          for (int i = 0; i < n; i++)
            for (int unit = begin; unit < least(begin + LANES, to.k); unit++) {
              float *lanes = part.block(first, n, unit, i);
              const float *from = matrix + (first + i) * WIDTH * G * plan.units + gate * plan.units + unit;
              const int full = (int)least(rows - (first + i) * WIDTH, WIDTH);
              for (int lane = 0; lane < WIDTH; lane++) lanes[lane] = lane < full ? from[lane * G * plan.units] : 0.0f;
            }
      }
    }
  }

  void pack_bias(const float *from) const {
    const long slot = (long)h_blocks * LANES;
    memset(bias, 0, Cell::SUMS * slot * 4);
    if (!from) return;
    for (int gate = 0; gate < G; gate++)
      for (long unit = 0; unit < plan.units; unit++) {
        const float x_bias = from[gate * plan.units + unit];
        Lanes::set_bias(bias + gate * slot, unit, x_bias);
        if (Cell::SUMS > G)  // the second row belongs to the product with h
          Lanes::set_bias(bias + Cell::H_SLOT[gate] * slot, unit,
                          (Cell::H_SLOT[gate] == gate ? x_bias : 0.0f) + from[(long)(G + gate) * plan.units + unit]);
      }
  }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
