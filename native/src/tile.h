// What a tile works with, forward and backward: its place in the batch, its masks, and rows <-> slots.
#ifndef SUNHWAN_TILE_H
#define SUNHWAN_TILE_H

#include "weights.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

template <class Cell, class Lanes>
struct TileWork {
  static constexpr int G = Cell::GATES;

  const sunhwan_recurrence &call;
  const Weights<Cell, Lanes> &weights;
  const Plan &plan;
  Tile tile;
  Extent h_extent, x_extent;
  long steps;
  float *x_masks, *h_masks;  // [gates that have one] slots
  Ahead no_prefetch;

  TileWork(const sunhwan_recurrence &call_, const Weights<Cell, Lanes> &weights_)
      : call(call_), weights(weights_), plan(weights_.plan) {}

  // A gate's mask of x or of h, or NULL.
  const float *x_mask(int gate) const {
    const int32_t gates = call.dropout_mask_gates;
    return gates ? x_masks + (gates > 1 ? gate : 0) * x_extent.slot() : nullptr;
  }
  const float *h_mask(int gate) const {
    const int32_t gates = call.recurrent_dropout_mask_gates;
    return gates ? h_masks + (gates > 1 ? gate : 0) * h_extent.slot() : nullptr;
  }
  // An array times a mask, in `to`; itself where there is no mask.
  static const float *masked(const float *from, const float *mask, const Extent &extent, float *to) {
    if (!mask) return from;
    extent.each([=](auto i) { store(to, i, load(from, i) * load(mask, i)); });
    return to;
  }

  void take_masks(Arena &arena) {
    x_masks = arena.take<float>(call.dropout_mask_gates * weights.x_slot());
    h_masks = arena.take<float>(call.recurrent_dropout_mask_gates * weights.h_slot());
  }

  void begin(long index) {
    tile = plan.tile[index];
    const int rows = Lanes::rows_of(tile.rows);
    h_extent = {weights.h_blocks, rows, rows};
    x_extent = {weights.x_blocks, rows, rows};
    steps = plan.length(tile.first);
    for (int g = 0; g < call.dropout_mask_gates; g++)
      read_batch(call.dropout_mask + g * plan.batch * plan.features, plan.features, x_masks + g * x_extent.slot(),
                 x_extent);
    for (int g = 0; g < call.recurrent_dropout_mask_gates; g++)
      read_batch(call.recurrent_dropout_mask + g * plan.batch * plan.units, plan.units, h_masks + g * h_extent.slot(),
                 h_extent);
  }

  // How many rows of the slots take part at a step, from how many do at the step before it, or after it. (Rows of the
  // batch that lie across lanes all run all steps.)
  int active_at(long step, int before) const {
    if constexpr (!Lanes::PADS_UNITS) return h_extent.rows;
    while (before > 0 && plan.length(tile.first + before - 1) <= step) before--;
    return before;
  }
  int active_back_at(long step, int after) const {
    if constexpr (!Lanes::PADS_UNITS) return h_extent.rows;
    while (after < tile.rows && plan.length(tile.first + after) > step) after++;
    return after;
  }
  // Those of the batch.
  int active_rows(int active) const { return Lanes::PADS_UNITS ? active : tile.rows; }

  long row(int r) const { return plan.row(tile.first + r); }
  // The place in time of a row's step: in the order of reading, and in the inputs.
  long read_time(int r, long step) const { return plan.time(tile.first + r, step); }
  long input_time(long read) const { return call.go_backwards ? plan.timesteps - 1 - read : read; }

  // The tile's rows of a (batch, columns) array to a slot, and back.
  void read_batch(const float *from, long columns, float *to, const Extent &extent) const {
    Lanes::read_rows([=](int r) { return from + row(r) * columns; }, tile.rows, columns, to, extent);
  }
  void write_batch(const float *from, const Extent &extent, float *to, long columns) const {
    Lanes::write_rows(from, tile.rows, extent, columns, [=](int r) { return to + row(r) * columns; });
  }

  // Where the rows of a step are in a (batch, timesteps, columns) array in the order of time.
  auto rows_at(long step, long columns) const {
    const long apart = plan.timesteps * columns, begin = tile.first * apart + input_time(step) * columns;
    return [=](int r) SUNHWAN_INLINE_LAMBDA {
      return plan.order ? row(r) * apart + input_time(read_time(r, step)) * columns : begin + r * apart;
    };
  }

  // x of a step to a slot. `later`: a step whose x will be wanted soon.
  void read_x(long step, long later, int active, float *to) const {
    const float *inputs = call.inputs, *end = inputs + plan.batch * plan.timesteps * plan.features;
    const long ahead = later < 0 || later >= plan.timesteps ? 0 : (call.go_backwards ? step - later : later - step) * plan.features;
    const auto at = rows_at(step, plan.features);
    if constexpr (Lanes::PADS_UNITS) {
      const long block = x_extent.block();
      const int blocks = x_extent.blocks;
      for (int r = 0; r < active; r++) {
        const float *from = inputs + at(r);
        float *p = to + r * LANES;
        for (int i = 0; i < blocks; i++, from += LANES, p += block) {
          __builtin_prefetch(from + ahead);
          store(p, from + LANES <= end ? load(from) : load_some(from, (int)(end - from)));
        }
      }
    } else {
      auto from = [=](int r) SUNHWAN_INLINE_LAMBDA {
        const float *p = inputs + at(r);
        __builtin_prefetch(p + ahead);
        return p;
      };
      Lanes::read_rows(from, tile.rows, plan.features, to, x_extent);
    }
  }

  // product() for all active rows and so many blocks; `b` of a term is for the panel at block 0.
  void products(const Term *terms, int count, int active, int rows, long blocks, const float *init, long init_block,
                long init_row, float *c, Ahead &ahead) const {
    long block = (long)rows * LANES;
    Term shifted[G + 1];
    ProductArguments p = {shifted, count, block, nullptr, init_block, init_row, nullptr, block, &ahead};
    for (long first = 0, n; first < blocks; first += n) {
      n = next_panel(blocks - first, weights.widest);
      for (int r = 0; r < active; r += Lanes::M) {
        for (int i = 0; i < count; i++)
          shifted[i] = {terms[i].a + r * LANES, terms[i].b + first * terms[i].k * Lanes::WIDTH, terms[i].k,
                        terms[i].mask ? terms[i].mask + first * block + r * LANES : nullptr};
        p.init = init + first * init_block + r * init_row;
        p.c = c + first * block + r * LANES;
        PRODUCTS<Lanes>.of[least(active - r, Lanes::M) - 1][n - 1](p);
      }
    }
  }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
