// The loop over time, forward and backward, once for every cell: matrix products, padding and dropout masks,
// direction. What a cell does within a timestep is in simple_rnn.h, gru.h and lstm.h.
//
// A tile (plan.h) runs through its whole sequence before the next begins, so that weights and states stay in
// the nearest cache. Within a step: x is copied into blocks, the products x K + h U + b are made in registers, the
// cell does the rest. Backward walks the steps from last to first; the sums' gradients of some steps are gathered
// before their product with x and h is added to the weights' gradient.
#ifndef SUNHWAN_RECURRENCE_H
#define SUNHWAN_RECURRENCE_H

#include "gru.h"
#include "lstm.h"
#include "plan.h"
#include "pool.h"
#include "product.h"
#include "simple_rnn.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

SUNHWAN_INLINE long least(long a, long b) { return a < b ? a : b; }
SUNHWAN_INLINE long most(long a, long b) { return a > b ? a : b; }
SUNHWAN_INLINE int blocks_of(long columns) { return (int)((columns + LANES - 1) / LANES); }

// Memory handed out from front to back; with no memory it only counts.
struct Arena {
  char *base;
  size_t used = 0;

  template <class T>
  T *take(long count) {
    T *taken = (T *)(base + used);
    used += (count * sizeof(T) + 63) / 64 * 64;
    return base ? taken : nullptr;
  }
};

// Which gates' columns one product makes: those that share their operands.
struct Segment {
  int gate, gates, slot;  // gates [gate, gate + gates) into sums from `slot`
  bool x, h;
};

// A weight matrix in panels, for products with so many rows (k) and so many vectors of columns.
struct Packed {
  float *data;
  int k;

  const float *panel(long vector) const { return data + vector * k * LANES; }
  float *vector(long first, int vectors, int row, int i) const {
    return data + first * k * LANES + ((long)row * vectors + i) * LANES;
  }
};

// What is the same for all tiles of a call: the weights as the products want them.
template <class Cell>
struct Weights {
  static constexpr int G = Cell::GATES;

  Plan plan;
  int h_blocks, x_blocks, widest;
  Segment segments[2 * G];
  int segments_count = 0;
  Packed x, h;        // forward: columns of all gates
  Packed x_t, h_t;    // backward: transposed, one after the other for each gate
  float *bias;        // [SUMS][h_blocks][LANES]

  Weights(const sunhwan_recurrence &call, const Plan &plan_) : plan(plan_) {
    h_blocks = blocks_of(plan.units);
    x_blocks = blocks_of(plan.features);
    widest = widest_panel(plan.tile_rows);
    bool one_operand = call.x_mask_gates <= 1 && call.h_mask_gates <= 1;
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

  void pack_forward(const sunhwan_recurrence &call, Arena &arena) {
    x = {arena.take<float>((long)G * h_blocks * LANES * plan.features), (int)plan.features};
    h = {arena.take<float>((long)G * h_blocks * LANES * plan.units), (int)plan.units};
    bias = arena.take<float>((long)Cell::SUMS * h_blocks * LANES);
    if (!arena.base) return;
    for (const Segment *s = segments; s < segments + segments_count; s++) {
      if (s->x) pack(x, call.kernel, *s);
      if (s->h) pack(h, call.recurrent_kernel, *s);
    }
    pack_bias(call.bias);
  }

  void pack_backward(const sunhwan_recurrence &call, bool for_inputs, Arena &arena) {
    h_t = {arena.take<float>((long)G * h_blocks * LANES * plan.units), (int)plan.units};
    x_t = {arena.take<float>(for_inputs ? (long)G * x_blocks * LANES * plan.units : 0), (int)plan.units};
    if (!arena.base) return;
    pack_transposed(h_t, call.recurrent_kernel, plan.units, h_blocks);
    if (for_inputs) pack_transposed(x_t, call.kernel, plan.features, x_blocks);
  }

  const float *transposed(const Packed &p, int gate, int blocks) const {
    return p.data + (long)gate * blocks * LANES * plan.units;
  }

 private:
  void pack(Packed &to, const float *matrix, const Segment &s) const {
    long end = (long)(s.gate + s.gates) * h_blocks;
    for (long first = (long)s.gate * h_blocks, n; first < end; first += n) {
      n = next_panel(end - first, widest);
      for (int row = 0; row < to.k; row++)
        for (int i = 0; i < n; i++) {
          long gate = (first + i) / h_blocks, unit = (first + i) % h_blocks * LANES;
          const float *from = matrix + (long)row * G * plan.units + gate * plan.units + unit;
          long columns = least(plan.units - unit, LANES);
          store(to.vector(first, n, row, i), columns == LANES ? load(from) : load_some(from, columns));
        }
    }
  }

  // For each gate, rows of its units and a vector for LANES rows of the matrix.
  void pack_transposed(Packed &to, const float *matrix, long rows, int blocks) const {
    for (int gate = 0; gate < G; gate++) {
      Packed part = {to.data + (long)gate * blocks * LANES * plan.units, to.k};
      for (long first = 0, n; first < blocks; first += n) {
        n = next_panel(blocks - first, widest);
        for (int begin = 0; begin < to.k; begin += LANES)  // by square blocks, which stay in the nearest cache
          for (int i = 0; i < n; i++)
            for (int unit = begin; unit < least(begin + LANES, to.k); unit++) {
              float *lanes = part.vector(first, n, unit, i);
              const float *from = matrix + (first + i) * LANES * G * plan.units + gate * plan.units + unit;
              const int full = (int)least(rows - (first + i) * LANES, LANES);
              for (int lane = 0; lane < LANES; lane++) lanes[lane] = lane < full ? from[lane * G * plan.units] : 0.0f;
            }
      }
    }
  }

  void pack_bias(const float *from) const {
    memset(bias, 0, (long)Cell::SUMS * h_blocks * LANES * 4);
    if (!from) return;
    for (int gate = 0; gate < G; gate++)
      for (long unit = 0; unit < plan.units; unit++) {
        bias[(long)gate * h_blocks * LANES + unit] = from[gate * plan.units + unit];
        if (Cell::SUMS > G)  // the second row belongs to the product with h
          bias[(long)Cell::H_SLOT[gate] * h_blocks * LANES + unit] =
              (Cell::H_SLOT[gate] == gate ? from[gate * plan.units + unit] : 0.0f) +
              from[(long)(G + gate) * plan.units + unit];
      }
  }
};

// What a tile works with, forward and backward: its place in the batch, and rows <-> blocks.
template <class Cell>
struct TileWork {
  static constexpr int G = Cell::GATES;

  const sunhwan_recurrence &call;
  const Weights<Cell> &weights;
  const Plan &plan;
  Tile tile;
  Extent h_extent, x_extent;
  long steps;
  float *x_masks, *h_masks;  // [gates that have one][blocks][rows][LANES]
  Ahead no_prefetch;

  TileWork(const sunhwan_recurrence &call_, const Weights<Cell> &weights_) : call(call_), weights(weights_), plan(weights_.plan) {}

  // Whether each gate has dropout masks of its own, of x or of h.
  bool masks_each_gate() const { return call.x_mask_gates > 1 || call.h_mask_gates > 1; }
  // A gate's mask of x or of h, or NULL.
  const float *x_mask(int gate) const {
    return call.x_mask_gates ? x_masks + (call.x_mask_gates > 1 ? gate : 0) * x_extent.slot() : nullptr;
  }
  const float *h_mask(int gate) const {
    return call.h_mask_gates ? h_masks + (call.h_mask_gates > 1 ? gate : 0) * h_extent.slot() : nullptr;
  }
  // An array times a mask, in `to`; itself where there is no mask.
  static const float *masked(const float *from, const float *mask, const Extent &extent, float *to) {
    if (!mask) return from;
    extent.each([=](auto i) { store(to, i, load(from, i) * load(mask, i)); });
    return to;
  }

  void take_masks(Arena &arena) {
    x_masks = arena.take<float>(call.x_mask_gates * blocks_of(plan.features) * (long)plan.tile_rows * LANES);
    h_masks = arena.take<float>(call.h_mask_gates * blocks_of(plan.units) * (long)plan.tile_rows * LANES);
  }

  void begin(long index) {
    tile = plan.tile[index];
    h_extent = {weights.h_blocks, tile.rows, tile.rows};
    x_extent = {weights.x_blocks, tile.rows, tile.rows};
    steps = plan.length(tile.first);
    for (int g = 0; g < call.x_mask_gates; g++)
      read_rows(call.x_mask + g * plan.batch * plan.features, plan.features, x_masks + g * x_extent.slot(), x_extent);
    for (int g = 0; g < call.h_mask_gates; g++)
      read_rows(call.h_mask + g * plan.batch * plan.units, plan.units, h_masks + g * h_extent.slot(), h_extent);
  }

  // How many rows of the tile take part at a step.
  int active_at(long step, int before) const {
    while (before > 0 && plan.length(tile.first + before - 1) <= step) before--;
    return before;
  }

  long row(int r) const { return plan.row(tile.first + r); }
  // The place in time of a row's step: in the order of reading, and in the inputs.
  long read_time(int r, long step) const { return plan.time(tile.first + r, step); }
  long input_time(long read) const { return call.go_backwards ? plan.timesteps - 1 - read : read; }

  // Rows of a (batch, columns) array to blocks, and back; the lanes beyond its columns hold anything.
  void read_rows(const float *from, long columns, float *to, const Extent &extent) const {
    for (int r = 0; r < extent.active; r++) {
      const float *p = from + row(r) * columns;
      for (int i = 0; i < extent.blocks; i++)
        store(to + i * extent.block() + r * LANES, load_some(p + i * LANES, (int)least(columns - i * LANES, LANES)));
    }
  }
  void write_row(const float *from, int r, const Extent &extent, float *to, long columns) const {
    for (int i = 0; i < extent.blocks; i++)
      store_some(to + i * LANES, load(from + i * extent.block() + r * LANES), (int)least(columns - i * LANES, LANES));
  }

  // Calls f with each row of a step and where it is in a (batch, timesteps, columns) array in the order of time.
  template <class F>
  SUNHWAN_INLINE_METHOD void each_row(long step, int active, long columns, F f) const {
    long apart = plan.timesteps * columns;
    if (!plan.order) {
      long offset = tile.first * apart + input_time(step) * columns;
      for (int r = 0; r < active; r++, offset += apart) f(r, offset);
    } else {
      for (int r = 0; r < active; r++) f(r, row(r) * apart + input_time(read_time(r, step)) * columns);
    }
  }

  // x of a step in blocks. `later`: a step whose x will be wanted soon.
  void read_x(long step, long later, int active, float *to) const {
    const float *inputs = call.inputs, *end = inputs + plan.batch * plan.timesteps * plan.features;
    const long ahead = later < 0 || later >= plan.timesteps ? 0 : (call.go_backwards ? step - later : later - step) * plan.features;
    const long block = x_extent.block();
    const int blocks = x_extent.blocks;
    each_row(step, active, plan.features, [=](int r, long offset) {
      const float *from = inputs + offset;
      float *p = to + r * LANES;
      for (int i = 0; i < blocks; i++, from += LANES, p += block) {
        __builtin_prefetch(from + ahead);
        store(p, from + LANES <= end ? load(from) : load_some(from, (int)(end - from)));
      }
    });
  }

  // product() for all active rows and so many vectors; `b` of a term is for the panel at vector 0.
  void products(const Term *terms, int count, int active, int rows, long vectors, const float *init, long init_vector,
                long init_row, float *c, Ahead &ahead) const {
    long block = (long)rows * LANES;
    Term shifted[G + 1];
    ProductArguments p = {shifted, count, block, nullptr, init_vector, init_row, nullptr, block, &ahead};
    for (long first = 0, n; first < vectors; first += n) {
      n = next_panel(vectors - first, weights.widest);
      for (int r = 0; r < active; r += ROWS) {
        for (int i = 0; i < count; i++)
          shifted[i] = {terms[i].a + r * LANES, terms[i].b + first * terms[i].k * LANES, terms[i].k,
                        terms[i].mask ? terms[i].mask + first * block + r * LANES : nullptr};
        p.init = init + first * init_vector + r * init_row;
        p.c = c + first * block + r * LANES;
        product_of((int)least(active - r, ROWS), (int)n, p);
      }
    }
  }
};

template <class Cell, class Activation, class RecurrentActivation>
struct ForwardTile : TileWork<Cell> {
  using Base = TileWork<Cell>;
  using Base::call, Base::weights, Base::plan, Base::tile, Base::h_extent, Base::x_extent, Base::G;
  Activation activation;
  RecurrentActivation recurrent_activation;
  float *x, *x_masked, *h_masked, *keeps, *states;

  static constexpr long STREAMED_BYTES = 2 << 20;

  ForwardTile(const sunhwan_recurrence &call_, const Weights<Cell> &weights_, Activation activation_,
              RecurrentActivation recurrent_activation_, Arena &arena)
      : Base(call_, weights_), activation(activation_), recurrent_activation(recurrent_activation_) {
    long h_slot = (long)weights.h_blocks * plan.tile_rows * LANES;
    long x_slot = (long)weights.x_blocks * plan.tile_rows * LANES;
    this->take_masks(arena);
    x = arena.take<float>(x_slot);
    x_masked = arena.take<float>(x_slot);
    h_masked = arena.take<float>(h_slot);
    keeps = arena.take<float>(Cell::KEPT * h_slot);
    states = arena.take<float>(Cell::STATES * h_slot);
  }

  void run(long index) {
    this->begin(index);
    for (int s = 0; s < Cell::STATES; s++) {
      if (call.initial_state)
        this->read_rows(call.initial_state + s * plan.batch * plan.units, plan.units, states + s * h_extent.slot(), h_extent);
      else
        memset(states + s * h_extent.slot(), 0, h_extent.slot() * 4);
    }
    if (call.output && call.mask) write_outputs_before_data();

    long kept_step = Cell::KEPT * h_extent.slot();
    float *saved = call.saved ? call.saved + tile.first * saved_per_sequence() : nullptr;
    // Streaming needs aligned vectors, and pays for what the caches cannot hold until backward comes.
    const bool streams = saved && ((uintptr_t)saved | (kept_step * 4)) % (LANES * 4) == 0 &&
                         plan.batch * saved_per_sequence() * 4 > STREAMED_BYTES;
    int active = tile.rows;
    for (long step = 0; step < this->steps; step++) {
      active = this->active_at(step, active);
      run_step(step, active, saved && !streams ? saved + step * kept_step : keeps);
      if (streams) stream(keeps, saved + step * kept_step, kept_step);
      if (call.output && call.return_sequences) write_outputs(step, active);
    }
    if (streams) stream_fence();
    if (call.output && !call.return_sequences) write_last_outputs();
    if (call.states)
      for (int s = 0; s < Cell::STATES; s++)
        for (int r = 0; r < tile.rows; r++)
          this->write_row(states + s * h_extent.slot(), r, h_extent,
                          call.states + (s * plan.batch + this->row(r)) * plan.units, plan.units);
  }

  long saved_per_sequence() const {
    return plan.timesteps * Cell::KEPT * ((plan.units + 15) / 16 * 16);
  }

 private:
  void run_step(long step, int active, float *kept) {
    ForwardStep s = {h_extent, kept, states};
    s.extent.active = active;
    this->read_x(step, step + 4, active, x);
    Extent x_rows = x_extent;
    x_rows.active = active;

    for (int i = 0; i < weights.segments_count; i++) {
      const Segment &segment = weights.segments[i];
      Term terms[2];
      int count = 0;
      long vector = (long)segment.gate * weights.h_blocks;
      if (segment.x)
        terms[count++] = {this->masked(x, this->x_mask(segment.gate), x_rows, x_masked), weights.x.panel(vector), weights.x.k};
      if (segment.h)
        terms[count++] = {seen_h(s, segment.gate), weights.h.panel(vector), weights.h.k};
      this->products(terms, count, active, tile.rows, (long)segment.gates * weights.h_blocks,
                     weights.bias + (long)segment.slot * weights.h_blocks * LANES, LANES, 0, s.kept(segment.slot), this->no_prefetch);
    }
    Cell::forward(s, activation, recurrent_activation);
  }

  // h as a gate's product sees it: after its dropout mask, and after the reset gate where that comes first.
  const float *seen_h(const ForwardStep &s, int gate) {
    const float *h = this->masked(states, this->h_mask(gate), s.extent, h_masked);
    if constexpr (Cell::RESET_GATE >= 0)
      if (gate == Cell::RESET_GATE) {
        Cell::reset(s, recurrent_activation, h, h_masked);
        return h_masked;
      }
    return h;
  }

  float *output_at(int r, long read) const {
    return call.output + (this->row(r) * plan.timesteps + read) * plan.units;
  }

  // The output of a step, and of the steps without data up to the next one.
  void write_outputs(long step, int active) {
    for (int r = 0; r < active; r++) {
      long read = this->read_time(r, step);
      float *to = output_at(r, read);
      this->write_row(states, r, h_extent, to, plan.units);
      if (!call.mask) continue;
      long next = step + 1 < plan.length(tile.first + r) ? this->read_time(r, step + 1) : plan.timesteps;
      for (read++; read < next; read++) write_skipped(to, output_at(r, read));
    }
  }

  void write_skipped(const float *previous, float *to) const {
    if (call.zero_output_for_mask || !previous)
      memset(to, 0, plan.units * 4);
    else
      memcpy(to, previous, plan.units * 4);
  }

  void write_outputs_before_data() {
    if (!call.return_sequences) return;
    for (int r = 0; r < tile.rows; r++) {
      const float *previous = call.zero_before_data || !call.initial_state
                                  ? nullptr
                                  : call.initial_state + this->row(r) * plan.units;
      long first = plan.length(tile.first + r) ? this->read_time(r, 0) : plan.timesteps;
      for (long read = 0; read < first; read++) write_skipped(previous, output_at(r, read));
    }
  }

  void write_last_outputs() {
    for (int r = 0; r < tile.rows; r++) {
      float *to = call.output + this->row(r) * plan.units;
      if (shows_last(*this, r))
        this->write_row(states, r, h_extent, to, plan.units);
      else
        memset(to, 0, plan.units * 4);
    }
  }
};

// Whether a row's last output is its final h, and not zero for want of data.
template <class Cell>
bool shows_last(const TileWork<Cell> &work, int r) {
  if (!work.call.mask) return true;
  long length = work.plan.length(work.tile.first + r);
  if (length == 0) return !work.call.zero_before_data && !work.call.zero_output_for_mask;
  return !work.call.zero_output_for_mask || work.read_time(r, length - 1) == work.plan.timesteps - 1;
}

// A group's sum of the weights' gradients, in padded columns.
template <class Cell>
struct WeightGradients {
  long columns;  // GATES * h_blocks * LANES, one row of each part
  float *kernel, *recurrent_kernel, *bias;  // [features], [units], [2]: the second row of the products with h

  WeightGradients(const Weights<Cell> &weights, Arena &arena) {
    const Plan &plan = weights.plan;
    columns = (long)Cell::GATES * weights.h_blocks * LANES;
    kernel = arena.take<float>((plan.features + plan.units + 2) * columns);
    recurrent_kernel = kernel + plan.features * columns;
    bias = recurrent_kernel + plan.units * columns;
  }
  static long floats(const Weights<Cell> &weights) {
    return (weights.plan.features + weights.plan.units + 2) * (long)Cell::GATES * weights.h_blocks * LANES;
  }
};

template <class Cell, class Activation, class RecurrentActivation>
struct BackwardTile : TileWork<Cell> {
  using Base = TileWork<Cell>;
  using Base::call, Base::weights, Base::plan, Base::tile, Base::h_extent, Base::x_extent, Base::G;
  const sunhwan_gradients &gradients;
  Activation activation;
  RecurrentActivation recurrent_activation;
  bool wants_weights;
  int chunk_steps;
  long chunk_step;           // floats of one step in a chunk
  float *chunk;              // [chunk_steps][d_sums, h before the step, r * h of a GRU that resets before, x]
  float *chunk_masked;       // [chunk_steps] of x or h after a gate's dropout mask
  int chunk_rows[256];       // active rows of each step in the chunk
  float *d_states, *initial_h, *initial_c, *shown, *previous_h, *d_seen, *d_x, *zeros;

  static constexpr int H_COPIES = Cell::RESET_GATE >= 0 ? 2 : 1;
  static constexpr long ROW_STEPS = 64;  // of a chunk: enough for the flush to cost little, few enough for L2

  BackwardTile(const sunhwan_recurrence &call_, const sunhwan_gradients &gradients_, const Weights<Cell> &weights_,
               Activation activation_, RecurrentActivation recurrent_activation_, Arena &arena)
      : Base(call_, weights_),
        gradients(gradients_),
        activation(activation_),
        recurrent_activation(recurrent_activation_) {
    wants_weights = gradients.d_kernel || gradients.d_recurrent_kernel || gradients.d_bias;
    long h_slot = (long)weights.h_blocks * plan.tile_rows * LANES;
    long x_slot = (long)weights.x_blocks * plan.tile_rows * LANES;
    this->take_masks(arena);
    chunk_steps = wants_weights ? (int)least(most(ROW_STEPS / plan.tile_rows, 4), 256) : 1;
    chunk_step = (Cell::SUMS + H_COPIES) * h_slot + x_slot;
    chunk = arena.take<float>(chunk_steps * chunk_step);
    chunk_masked = arena.take<float>(call.x_mask_gates || call.h_mask_gates ? chunk_steps * most(h_slot, x_slot) : 0);
    d_states = arena.take<float>(Cell::STATES * h_slot);
    initial_h = arena.take<float>(h_slot);
    initial_c = arena.take<float>(h_slot);
    shown = arena.take<float>(h_slot);
    previous_h = arena.take<float>(h_slot);
    d_seen = arena.take<float>(h_slot);
    d_x = arena.take<float>(x_slot);
    zeros = arena.take<float>(LANES);
  }

  void run(long index, const WeightGradients<Cell> *sums) {
    this->begin(index);
    memset(zeros, 0, LANES * 4);
    begin_states();
    if (gradients.d_inputs && call.mask) clear_skipped_inputs();

    long kept_step = Cell::KEPT * h_extent.slot();
    const float *saved = call.saved + tile.first * saved_per_sequence();
    int in_chunk = 0, active = 0;
    for (long step = this->steps - 1; step >= 0; step--) {
      int before = active;
      while (active < tile.rows && plan.length(tile.first + active) > step) active++;
      BackwardStep s = {h_extent, saved + step * kept_step, initial_h, d_states, chunk + in_chunk * chunk_step};
      s.extent.active = active;
      const float *kept_before = step ? saved + (step - 1) * kept_step : nullptr;
      Ahead ahead;
      // The step before reads some of what the one before it has kept.
      if (step > 1) ahead.next = (const char *)(saved + (step - 2) * kept_step), ahead.end = ahead.next + kept_step * 4;
      add_output_gradients(step, active);
      run_step(s, step, before, kept_before, ahead);
      chunk_rows[in_chunk++] = active;
      if (in_chunk == chunk_steps || step == 0) {
        if (wants_weights) add_weight_gradients(in_chunk, *sums);
        in_chunk = 0;
      }
    }
    if (gradients.d_initial_state) write_initial_state();
  }

 private:
  long saved_per_sequence() const { return plan.timesteps * Cell::KEPT * ((plan.units + 15) / 16 * 16); }

  void begin_states() {
    for (int s = 0; s < Cell::STATES; s++) {
      float *d = d_states + s * h_extent.slot();
      if (gradients.d_states)
        this->read_rows(gradients.d_states + s * plan.batch * plan.units, plan.units, d, h_extent);
      else
        memset(d, 0, h_extent.slot() * 4);
      float *initial = s ? initial_c : initial_h;
      if (call.initial_state)
        this->read_rows(call.initial_state + s * plan.batch * plan.units, plan.units, initial, h_extent);
      else
        memset(initial, 0, h_extent.slot() * 4);
    }
    if (gradients.d_output && !call.return_sequences)
      for (int r = 0; r < tile.rows; r++)
        if (shows_last(*this, r)) add_row(gradients.d_output + this->row(r) * plan.units, r);
  }

  void add_row(const float *from, int r) const {
    for (int i = 0; i < h_extent.blocks; i++) {
      float *d_h = d_states + i * h_extent.block() + r * LANES;
      long columns = least(plan.units - i * LANES, LANES);
      store(d_h, load(d_h) + (columns == LANES ? load(from + i * LANES) : load_some(from + i * LANES, (int)columns)));
    }
  }

  // What the outputs of a step, and of those without data that repeat it, give to h.
  void add_output_gradients(long step, int active) const {
    if (!gradients.d_output || !call.return_sequences) return;
    for (int r = 0; r < active; r++) {
      long read = this->read_time(r, step), end = read + 1;
      if (call.mask && !call.zero_output_for_mask)
        end = step + 1 < plan.length(tile.first + r) ? this->read_time(r, step + 1) : plan.timesteps;
      for (; read < end; read++) add_row(gradients.d_output + (this->row(r) * plan.timesteps + read) * plan.units, r);
    }
  }

  void write_initial_state() {
    if (gradients.d_output && call.return_sequences && call.mask && !call.zero_before_data && !call.zero_output_for_mask)
      for (int r = 0; r < tile.rows; r++) {
        long first = plan.length(tile.first + r) ? this->read_time(r, 0) : plan.timesteps;
        for (long read = 0; read < first; read++)
          add_row(gradients.d_output + (this->row(r) * plan.timesteps + read) * plan.units, r);
      }
    for (int s = 0; s < Cell::STATES; s++)
      for (int r = 0; r < tile.rows; r++)
        this->write_row(d_states + s * h_extent.slot(), r, h_extent,
                        gradients.d_initial_state + (s * plan.batch + this->row(r)) * plan.units, plan.units);
  }

  void clear_skipped_inputs() const {
    for (int r = 0; r < tile.rows; r++)
      for (long read = 0, step = 0; read < plan.timesteps; read++) {
        if (step < plan.length(tile.first + r) && this->read_time(r, step) == read)
          step++;
        else
          memset(d_inputs_at(r, read), 0, plan.features * 4);
      }
  }

  float *d_inputs_at(int r, long read) const {
    return gradients.d_inputs + (this->row(r) * plan.timesteps + this->input_time(read)) * plan.features;
  }

  void run_step(BackwardStep &s, long step, int active_after, const float *kept_before, Ahead &ahead) {
    float *h = s.d_sums + Cell::SUMS * h_extent.slot(), *x = h + H_COPIES * h_extent.slot();
    if constexpr (Cell::KEPT_H >= 0) {
      if (kept_before) s.previous_h = kept_before + Cell::KEPT_H * h_extent.slot();
      Cell::backward(s, activation, recurrent_activation);
    } else {
      for (int i = 0; i < s.extent.blocks; i++)  // rows that have no step after
        for (int r = active_after; r < s.extent.active; r++)
          Cell::show(s, activation, At<1>{i * s.extent.block() + r * LANES}, shown);
      Cell::backward(s, activation, recurrent_activation, kept_before, initial_c, shown, previous_h);
      if (kept_before) s.previous_h = previous_h;
    }
    int gates = G;
    if constexpr (Cell::RESET_GATE >= 0) {
      // From the candidate's sum to r * h; then to r, and to h.
      gates = Cell::RESET_GATE;
      float *reset_h = h + h_extent.slot();
      const float *mask = this->h_mask(gates), *seen_h = this->masked(s.previous_h, mask, s.extent, reset_h);
      h_product(s, gates, gates + 1, false, d_seen, ahead);
      Cell::reset_backward(s, recurrent_activation, seen_h, reset_h, d_seen);
      const float *d_h = this->masked(d_seen, mask, s.extent, d_seen);
      s.extent.each([d_h, to = d_states](auto i) { store(to, i, load(to, i) + load(d_h, i)); });
    }
    h_product(s, 0, gates, true, d_states, ahead);
    if (gradients.d_inputs) write_d_inputs(s, step, ahead);
    if (wants_weights) {
      this->read_x(step, step - 4, s.extent.active, x);
      s.extent.each([h, from = s.previous_h](auto i) { store(h, i, load(from, i)); });
    }
  }

  // The gates' sums times U^T: for h, after its dropout masks and onto what of its gradient is there already, or by
  // itself.
  void h_product(const BackwardStep &s, int gate, int end, bool for_h, float *to, Ahead &ahead) const {
    Term terms[G];
    for (int g = gate; g < end; g++)
      terms[g - gate] = {s.d_sum(Cell::H_SLOT[g]), weights.transposed(weights.h_t, g, weights.h_blocks), (int)plan.units,
                         for_h ? this->h_mask(g) : nullptr};
    bool onto = for_h && Cell::H_STAYS;
    this->products(terms, end - gate, s.extent.active, tile.rows, weights.h_blocks, onto ? to : zeros,
                   onto ? h_extent.block() : 0, onto ? LANES : 0, to, ahead);
  }

  void write_d_inputs(const BackwardStep &s, long step, Ahead &ahead) const {
    Term terms[G];
    for (int g = 0; g < G; g++)
      terms[g] = {s.d_sum(g), weights.transposed(weights.x_t, g, weights.x_blocks), (int)plan.units, this->x_mask(g)};
    this->products(terms, G, s.extent.active, tile.rows, weights.x_blocks, zeros, 0, 0, d_x, ahead);
    const long soon = step < 4 ? 0 : (call.go_backwards ? 4 : -4) * plan.features;
    this->each_row(step, s.extent.active, plan.features, [=](int r, long offset) {
      float *to = gradients.d_inputs + offset;
      for (int i = 0; i < x_extent.blocks; i++) __builtin_prefetch(to + soon + i * LANES, 1);
      this->write_row(d_x, r, x_extent, to, plan.features);
    });
  }

  // Adds the chunk's products of x and h with the sums' gradients.
  void add_weight_gradients(int steps, const WeightGradients<Cell> &sums) const {
    const float *h = chunk + Cell::SUMS * h_extent.slot(), *x = h + H_COPIES * h_extent.slot();
    for (int gate = 0, n; gate < G; gate += n) {
      n = call.x_mask_gates > 1 ? 1 : G;
      add_products(x, this->x_mask(gate), x_extent, plan.features, gate, gate, n, sums.kernel, sums.columns, steps);
    }
    for (int gate = 0, n; gate < G; gate += n) {
      n = 1;  // gates that share their operand and lie side by side
      while (gate + n < G && call.h_mask_gates <= 1 && gate + n != Cell::RESET_GATE &&
             Cell::H_SLOT[gate + n] == Cell::H_SLOT[gate] + n)
        n++;
      bool reset = gate == Cell::RESET_GATE;
      add_products(reset ? h + h_extent.slot() : h, reset ? nullptr : this->h_mask(gate), h_extent, plan.units,
                   Cell::H_SLOT[gate], gate, n, sums.recurrent_kernel, sums.columns, steps);
    }
    if (gradients.d_bias) add_bias_gradients(steps, sums);
  }

  // c += a^T d_sums for gates whose sums begin at `slot`, with a masked.
  void add_products(const float *a, const float *mask, const Extent &a_extent, long k_end, int slot, int gate, int gates,
                    float *c, long columns, int steps) const {
    const float *b = chunk + slot * h_extent.slot();
    long a_step = chunk_step;
    if (mask) {
      a_step = a_extent.slot();
      Extent extent = a_extent;
      for (int step = 0; step < steps; step++) {
        extent.active = chunk_rows[step];
        this->masked(a + step * chunk_step, mask, extent, chunk_masked + step * a_step);
      }
      a = chunk_masked;
    }
    GradientArguments p = {nullptr, nullptr, a_step, chunk_step, h_extent.block(), chunk_rows, steps, nullptr, columns};
    long vectors = (long)gates * weights.h_blocks;
    for (long first = 0, n; first < vectors; first += n) {
      n = next_panel(vectors - first, VECTORS);
      p.b = b + first * h_extent.block();
      for (long k = 0, m; k < k_end; k += m) {
        m = least(least(COLUMNS, LANES - k % LANES), k_end - k);
        p.a = a + k / LANES * a_extent.block() + k % LANES;
        p.c = c + k * columns + ((long)gate * weights.h_blocks + first) * LANES;
        GRADIENT_PRODUCTS[m - 1][n - 1](p);
      }
    }
  }

  void add_bias_gradients(int steps, const WeightGradients<Cell> &sums) const {
    for (int gate = 0; gate < G; gate++) {
      add_sums(gate, steps, sums.bias + (long)gate * weights.h_blocks * LANES);
      // The second row of a bias belongs to the products with h.
      if (Cell::H_SLOT[gate] != gate)
        add_sums(Cell::H_SLOT[gate], steps, sums.bias + sums.columns + (long)gate * weights.h_blocks * LANES);
    }
  }

  // Adds up a slot of the chunk, four rows side by side.
  void add_sums(int slot, int steps, float *total) const {
    for (int i = 0; i < weights.h_blocks; i++, total += LANES) {
      Vec sum[4] = {};
      const float *d = chunk + slot * h_extent.slot() + i * h_extent.block();
      for (int step = 0; step < steps; step++, d += chunk_step) {
        int r = 0;
        for (; r + 4 <= chunk_rows[step]; r += 4)
          for (int j = 0; j < 4; j++) sum[j] += load(d + (r + j) * LANES);
        for (; r < chunk_rows[step]; r++) sum[0] += load(d + r * LANES);
      }
      store(total, load(total) + ((sum[0] + sum[1]) + (sum[2] + sum[3])));
    }
  }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
