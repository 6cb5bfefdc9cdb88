// The loop over time, forward and backward, once for every cell: padding and dropout masks, direction, what is kept.
// What a cell does within a timestep is in a header of its own (gru.h, lstm.h, simple_rnn.h).
//
// A tile (plan.h) runs through its whole sequence before the next begins, so that weights and states stay in
// the nearest cache. Within a step: x is copied into a slot, the products x K + h U + b are made in registers, the
// cell does the rest. Backward walks the steps from last to first; the sums' gradients of some steps are gathered
// before their product with x and h is added to the weights' gradient.
#ifndef SUNHWAN_RECURRENCE_H
#define SUNHWAN_RECURRENCE_H

#include "step.h"
#include "tile.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

template <class Cell, class Lanes, class Activation, class RecurrentActivation>
struct ForwardTile : TileWork<Cell, Lanes> {
  using Base = TileWork<Cell, Lanes>;
  using Base::call, Base::weights, Base::plan, Base::tile, Base::h_extent, Base::x_extent, Base::G;
  Activation activation;
  RecurrentActivation recurrent_activation;
  float *x, *x_masked, *h_masked, *keeps, *states;

  static constexpr long STREAMED_BYTES = 2 << 20;

  ForwardTile(const sunhwan_recurrence &call_, const Weights<Cell, Lanes> &weights_, Activation activation_,
              RecurrentActivation recurrent_activation_, Arena &arena)
      : Base(call_, weights_), activation(activation_), recurrent_activation(recurrent_activation_) {
    this->take_masks(arena);
    x = arena.take<float>(weights.x_slot());
    x_masked = arena.take<float>(weights.x_slot());
    h_masked = arena.take<float>(weights.h_slot());
    keeps = arena.take<float>(Cell::KEPT * weights.h_slot());
    states = arena.take<float>(Cell::STATES * weights.h_slot());
  }

  void run(long index) {
    this->begin(index);
    for (int s = 0; s < Cell::STATES; s++) {
      if (call.initial_state)
        this->read_batch(call.initial_state + s * plan.batch * plan.units, plan.units, states + s * h_extent.slot(), h_extent);
      else
        memset(states + s * h_extent.slot(), 0, h_extent.slot() * 4);
    }
    if (call.output && call.mask) write_outputs_before_data();

    long kept_step = Cell::KEPT * h_extent.slot();
    float *saved = call.saved ? call.saved + tile.first * Lanes::saved_per_sequence(plan, Cell::KEPT) : nullptr;
    // Streaming needs aligned vectors, and pays for what the caches cannot hold until backward comes.
    const bool streams = CAN_STREAM && saved && ((uintptr_t)saved | (kept_step * 4)) % (LANES * 4) == 0 &&
                         plan.batch * Lanes::saved_per_sequence(plan, Cell::KEPT) * 4 > STREAMED_BYTES;
    int active = h_extent.rows;
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
        this->write_batch(states + s * h_extent.slot(), h_extent, call.states + s * plan.batch * plan.units, plan.units);
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
      long block = (long)segment.gate * weights.h_blocks;
      if (segment.x)
        terms[count++] = {this->masked(x, this->x_mask(segment.gate), x_rows, x_masked), weights.x.panel(block), weights.x.k};
      if (segment.h)
        terms[count++] = {seen_h(s, segment.gate), weights.h.panel(block), weights.h.k};
      this->products(terms, count, active, h_extent.rows, (long)segment.gates * weights.h_blocks,
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
    const int rows = this->active_rows(active);
    Lanes::write_rows(states, rows, h_extent, plan.units, [=](int r) { return output_at(r, this->read_time(r, step)); });
    if (!call.mask) return;
    for (int r = 0; r < rows; r++) {
      long read = this->read_time(r, step);
      const float *shown = output_at(r, read);
      long next = step + 1 < plan.length(tile.first + r) ? this->read_time(r, step + 1) : plan.timesteps;
      for (read++; read < next; read++) write_skipped(shown, output_at(r, read));
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
    this->write_batch(states, h_extent, call.output, plan.units);
    if (!call.mask) return;
    for (int r = 0; r < tile.rows; r++)
      if (!shows_last(*this, r)) memset(call.output + this->row(r) * plan.units, 0, plan.units * 4);
  }
};

// Whether a row's last output is its final h, and not zero for want of data.
template <class Tile>
bool shows_last(const Tile &work, int r) {
  if (!work.call.mask) return true;
  long length = work.plan.length(work.tile.first + r);
  if (length == 0) return !work.call.zero_before_data && !work.call.zero_output_for_mask;
  return !work.call.zero_output_for_mask || work.read_time(r, length - 1) == work.plan.timesteps - 1;
}

// A group's sum of the weights' gradients, in whole blocks of columns.
template <class Cell, class Lanes>
struct WeightGradients {
  long columns;
  float *kernel, *recurrent_kernel, *bias;  // [features], [units], [2]: the second row of the products with h

  WeightGradients(const Weights<Cell, Lanes> &weights, Arena &arena) {
    const Plan &plan = weights.plan;
    columns = weights.columns();
    kernel = arena.take<float>(floats(weights));
    recurrent_kernel = kernel + plan.features * columns;
    bias = recurrent_kernel + plan.units * columns;
  }
  static long floats(const Weights<Cell, Lanes> &weights) {
    return (weights.plan.features + weights.plan.units + 2) * weights.columns();
  }
};

template <class Cell, class Lanes, class Activation, class RecurrentActivation>
struct BackwardTile : TileWork<Cell, Lanes> {
  using Base = TileWork<Cell, Lanes>;
  using Base::call, Base::weights, Base::plan, Base::tile, Base::h_extent, Base::x_extent, Base::G;
  static constexpr int H_COPIES = Cell::RESET_GATE >= 0 ? 2 : 1;
  static constexpr long ROW_STEPS = 64;  // of a chunk: enough for the flush to cost little, few enough for L2

  const sunhwan_gradients &gradients;
  Activation activation;
  RecurrentActivation recurrent_activation;
  bool wants_weights;
  int chunk_steps;
  long chunk_step;           // floats of one step in a chunk
  float *chunk;              // [chunk_steps][d_sums, h before the step, r * h of a GRU that resets before, x]
  float *chunk_masked;       // [chunk_steps] of x or h after a gate's dropout mask
  int chunk_rows[ROW_STEPS];  // active rows of each step in the chunk
  float *d_states, *initial_h, *initial_c, *shown, *previous_h, *d_seen, *d_x, *zeros;

  BackwardTile(const sunhwan_recurrence &call_, const sunhwan_gradients &gradients_, const Weights<Cell, Lanes> &weights_,
               Activation activation_, RecurrentActivation recurrent_activation_, Arena &arena)
      : Base(call_, weights_),
        gradients(gradients_),
        activation(activation_),
        recurrent_activation(recurrent_activation_) {
    wants_weights = gradients.d_kernel || gradients.d_recurrent_kernel || gradients.d_bias;
    const long h_slot = weights.h_slot(), x_slot = weights.x_slot();
    this->take_masks(arena);
    chunk_steps = wants_weights ? (int)most(ROW_STEPS / weights.tile_rows, 4) : 1;
    chunk_step = (Cell::SUMS + H_COPIES) * h_slot + x_slot;
    chunk = arena.take<float>(chunk_steps * chunk_step);
    chunk_masked = arena.take<float>(call.dropout_mask_gates || call.recurrent_dropout_mask_gates ? chunk_steps * most(h_slot, x_slot) : 0);
    d_states = arena.take<float>(Cell::STATES * h_slot);
    initial_h = arena.take<float>(h_slot);
    initial_c = arena.take<float>(h_slot);
    shown = arena.take<float>(h_slot);
    previous_h = arena.take<float>(h_slot);
    d_seen = arena.take<float>(h_slot);
    d_x = arena.take<float>(x_slot);
    zeros = arena.take<float>(LANES);
  }

  void run(long index, const WeightGradients<Cell, Lanes> *sums) {
    this->begin(index);
    memset(zeros, 0, LANES * 4);
    begin_states();
    if (gradients.d_inputs && call.mask) clear_skipped_inputs();

    long kept_step = Cell::KEPT * h_extent.slot();
    const float *saved = call.saved + tile.first * Lanes::saved_per_sequence(plan, Cell::KEPT);
    int in_chunk = 0, active = 0;
    for (long step = this->steps - 1; step >= 0; step--) {
      int after = active;
      active = this->active_back_at(step, active);
      BackwardStep s = {h_extent, saved + step * kept_step, initial_h, d_states, chunk + in_chunk * chunk_step};
      s.extent.active = active;
      const float *kept_before = step ? saved + (step - 1) * kept_step : nullptr;
      Ahead ahead;
      // The step before reads some of what the one before it has kept.
      if (step > 1) ahead.next = (const char *)(saved + (step - 2) * kept_step), ahead.end = ahead.next + kept_step * 4;
      add_output_gradients(step, active);
      run_step(s, step, after, kept_before, ahead);
      chunk_rows[in_chunk++] = active;
      if (in_chunk == chunk_steps || step == 0) {
        if (wants_weights) add_weight_gradients(in_chunk, *sums);
        in_chunk = 0;
      }
    }
    if (gradients.d_initial_state) write_initial_state();
  }

 private:
  void begin_states() {
    for (int s = 0; s < Cell::STATES; s++) {
      const long array = s * plan.batch * plan.units;
      float *d = d_states + s * h_extent.slot(), *initial = s ? initial_c : initial_h;
      memset(d, 0, h_extent.slot() * 4);
      if (gradients.d_states) add_batch(gradients.d_states + array, d);
      if (call.initial_state)
        this->read_batch(call.initial_state + array, plan.units, initial, h_extent);
      else
        memset(initial, 0, h_extent.slot() * 4);
    }
    if (!gradients.d_output || call.return_sequences) return;
    if (!call.mask) return add_batch(gradients.d_output, d_states);
    for (int r = 0; r < tile.rows; r++)
      if (shows_last(*this, r)) add_row(gradients.d_output + this->row(r) * plan.units, r);
  }

  void add_batch(const float *from, float *to) const {
    Lanes::add_rows([=](int r) { return from + this->row(r) * plan.units; }, tile.rows, plan.units, to, h_extent);
  }
  void add_row(const float *from, int r) const {
    Lanes::add_rows([=](int) { return from; }, 1, plan.units, d_states + r * LANES, h_extent);
  }

  // What the outputs of a step, and of those without data that repeat it, give to h.
  void add_output_gradients(long step, int active) const {
    if (!gradients.d_output || !call.return_sequences) return;
    const float *d_output = gradients.d_output;
    auto at = [=](int r, long read) { return d_output + (this->row(r) * plan.timesteps + read) * plan.units; };
    Lanes::add_rows([=](int r) { return at(r, this->read_time(r, step)); }, this->active_rows(active), plan.units, d_states,
                    h_extent);
    if (!call.mask || call.zero_output_for_mask) return;
    for (int r = 0; r < active; r++) {
      long end = step + 1 < plan.length(tile.first + r) ? this->read_time(r, step + 1) : plan.timesteps;
      for (long read = this->read_time(r, step) + 1; read < end; read++) add_row(at(r, read), r);
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
      this->write_batch(d_states + s * h_extent.slot(), h_extent, gradients.d_initial_state + s * plan.batch * plan.units,
                        plan.units);
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
    this->products(terms, end - gate, s.extent.active, h_extent.rows, weights.h_blocks, onto ? to : zeros,
                   onto ? h_extent.block() : 0, onto ? LANES : 0, to, ahead);
  }

  void write_d_inputs(const BackwardStep &s, long step, Ahead &ahead) const {
    Term terms[G];
    for (int g = 0; g < G; g++)
      terms[g] = {s.d_sum(g), weights.transposed(weights.x_t, g, weights.x_blocks), (int)plan.units, this->x_mask(g)};
    this->products(terms, G, s.extent.active, h_extent.rows, weights.x_blocks, zeros, 0, 0, d_x, ahead);
    const long soon = step < 4 ? 0 : (call.go_backwards ? 4 : -4) * plan.features;
    const auto at = this->rows_at(step, plan.features);
    Lanes::write_rows(d_x, this->active_rows(s.extent.active), x_extent, plan.features, [=](int r) {
      float *to = gradients.d_inputs + at(r);
      for (long column = 0; column < plan.features; column += LANES) __builtin_prefetch(to + soon + column, 1);
      return to;
    });
  }

  // Adds the chunk's products of x and h with the sums' gradients.
  void add_weight_gradients(int steps, const WeightGradients<Cell, Lanes> &sums) const {
    const float *h = chunk + Cell::SUMS * h_extent.slot(), *x = h + H_COPIES * h_extent.slot();
    for (int gate = 0, n; gradients.d_kernel && gate < G; gate += n) {
      n = call.dropout_mask_gates > 1 ? 1 : G;
      add_products(x, this->x_mask(gate), x_extent, plan.features, gate, gate, n, sums.kernel, sums.columns, steps);
    }
    for (int gate = 0, n; gradients.d_recurrent_kernel && gate < G; gate += n) {
      n = 1;  // gates that share their operand and lie side by side
      while (gate + n < G && call.recurrent_dropout_mask_gates <= 1 && gate + n != Cell::RESET_GATE &&
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
    const long blocks = (long)gates * weights.h_blocks, begin = (long)gate * weights.h_blocks;
    for (long first = 0, n; first < blocks; first += n) {
      n = next_panel(blocks - first, Lanes::GRADIENT_N);
      p.b = b + first * h_extent.block();
      for (long k = 0, m; k < k_end; k += m) {
        m = least(least(Lanes::GRADIENT_M, LANES - k % LANES), k_end - k);
        p.a = a + Lanes::offset(k, a_extent.block());
        p.c = c + k * columns + (begin + first) * Lanes::WIDTH;
        PRODUCTS<Lanes>.gradient_of[m - 1][n - 1](p);
      }
    }
  }

  void add_bias_gradients(int steps, const WeightGradients<Cell, Lanes> &sums) const {
    for (int gate = 0; gate < G; gate++) {
      float *bias = sums.bias + (long)gate * weights.h_blocks * Lanes::WIDTH;
      add_sums(gate, steps, bias);
      // The second row of a bias belongs to the products with h.
      if (Cell::H_SLOT[gate] != gate) add_sums(Cell::H_SLOT[gate], steps, bias + sums.columns);
    }
  }

  // Adds up a slot of the chunk, four rows side by side.
  void add_sums(int slot, int steps, float *total) const {
    for (int i = 0; i < weights.h_blocks; i++, total += Lanes::WIDTH) {
      Vec sum[4] = {};
      const float *d = chunk + slot * h_extent.slot() + i * h_extent.block();
      for (int step = 0; step < steps; step++, d += chunk_step) {
        int r = 0;
        for (; r + 4 <= chunk_rows[step]; r += 4)
          for (int j = 0; j < 4; j++) sum[j] += load(d + (r + j) * LANES);
        for (int j = 0; j < 3; j++)  // what is left of them too, whose one sum would be long
          if (r + j < chunk_rows[step]) sum[j] += load(d + (r + j) * LANES);
      }
      Lanes::add_to(total, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
  }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
