// The kernels of one instruction set: compiled once for each, with -DSUNHWAN_VARIANT=avx512, avx2 or portable.

#include "kernels.h"

#include "gru.h"
#include "lstm.h"
#include "memory.h"
#include "pool.h"
#include "recurrence.h"
#include "simple_rnn.h"

#define SUNHWAN_TEXT(name) #name
#define SUNHWAN_NAME(name) SUNHWAN_TEXT(name)

namespace sunhwan {
namespace SUNHWAN_VARIANT {

namespace {

// The most units that are computed with rows of the batch across the lanes: the gradient of the weights costs more
// there, and grows.
constexpr long MOST_UNITS_ACROSS_ROWS = 64;

// Whether rows lie across the lanes: where that pads less than units would. Where rows have padding steps, each runs
// the steps that it has, so they lie side by side.
bool lanes_hold_rows(const sunhwan_recurrence &call) {
  const double rows = (double)AcrossRows::rows_of(call.batch) * LANES * call.units;
  const double units = (double)call.batch * AcrossUnits::blocks_of(call.units) * LANES;
  return !call.mask && call.units <= MOST_UNITS_ACROSS_ROWS && rows * 1.1 <= units;
}

// Calls f(cell, activation, recurrent_activation) with the types for a call: the usual activations have kernels
// of their own.
template <class F>
auto with_types(const sunhwan_recurrence &call, F f) {
  auto with_activations = [&](auto cell) {
    if (call.activation == SUNHWAN_TANH && call.recurrent_activation == SUNHWAN_SIGMOID)
      return f(cell, Tanh{}, Sigmoid{});
    return f(cell, AnyActivation{call.activation}, AnyActivation{call.recurrent_activation});
  };
  if (call.cell == SUNHWAN_LSTM) return with_activations(Lstm{});
  if (call.cell == SUNHWAN_SIMPLE_RNN) return with_activations(SimpleRnn{});
  return call.reset_after ? with_activations(GruResetAfter{}) : with_activations(GruResetBefore{});
}

template <class Cell>
constexpr bool is_as_declared(int cell) {
  return Cell::GATES == CELLS[cell].gates && Cell::STATES == CELLS[cell].states && Cell::KEPT <= CELLS[cell].kept;
}
static_assert(is_as_declared<SimpleRnn>(SUNHWAN_SIMPLE_RNN) && is_as_declared<GruResetAfter>(SUNHWAN_GRU) &&
              is_as_declared<GruResetBefore>(SUNHWAN_GRU) && is_as_declared<Lstm>(SUNHWAN_LSTM));

template <class Cell, class Lanes, class A, class R>
bool forward_of(const sunhwan_recurrence &call, int threads, A activation, R recurrent_activation) {
  using Tile = ForwardTile<Cell, Lanes, A, R>;
  Arena counting = {nullptr};
  counting.take<char>(plan_bytes(call));
  Plan shape = make_plan_shape(call, Lanes::tile_shape());
  Weights<Cell, Lanes> sized(call, shape);
  sized.pack_forward(call, counting);
  Arena of_worker = {nullptr};
  Tile(call, sized, activation, recurrent_activation, of_worker);

  threads = (int)least(threads, shape.tiles);
  Workspace workspace(counting.used + threads * of_worker.used);
  if (!workspace.data) return false;
  Arena arena = {workspace.data};
  Weights<Cell, Lanes> weights(call, make_plan(call, Lanes::tile_shape(), arena.take<char>(plan_bytes(call))));
  weights.pack_forward(call, arena);

  struct Work {
    const sunhwan_recurrence &call;
    const Weights<Cell, Lanes> &weights;
    A activation;
    R recurrent_activation;
    char *memory;
    size_t bytes;
  } work = {call, weights, activation, recurrent_activation, arena.base + arena.used, of_worker.used};
  parallel(
      weights.plan.tiles,
      [](void *context, long index, int worker) {
        Work &w = *(Work *)context;
        Arena arena = {w.memory + worker * w.bytes};
        Tile(w.call, w.weights, w.activation, w.recurrent_activation, arena).run(index);
      },
      &work, threads);
  return true;
}

template <class Cell, class Lanes>
void write_weight_gradients(const Weights<Cell, Lanes> &weights, const sunhwan_gradients &gradients, const float *groups,
                            long floats, long slice, long slices) {
  const Plan &plan = weights.plan;
  constexpr int G = Cell::GATES;
  long columns = weights.columns(), biases = Cell::SUMS > G ? 2 : 1;
  long rows = plan.features + plan.units + biases;
  for (long row = rows * slice / slices; row < rows * (slice + 1) / slices; row++) {
    float *to = row < plan.features                ? gradients.d_kernel + (gradients.d_kernel ? row * G * plan.units : 0)
                : row < plan.features + plan.units ? gradients.d_recurrent_kernel
                                                   : gradients.d_bias;
    if (!to) continue;
    if (row >= plan.features + plan.units)
      to += (row - plan.features - plan.units) * G * plan.units;
    else if (row >= plan.features)
      to += (row - plan.features) * G * plan.units;
    for (int gate = 0; gate < G; gate++) {
      // A gate with one sum for both products has one sum of its gradient too.
      long shared = row == rows - 1 && biases == 2 && Cell::H_SLOT[gate] == gate;
      const float *from = groups + (row - shared) * columns + (long)gate * weights.h_blocks * Lanes::WIDTH;
      for (long unit = 0; unit < plan.units; unit += LANES) {
        const int full = (int)least(plan.units - unit, LANES);
        Vec sum = {};
        for (long group = 0; group < plan.groups; group++) sum += load_some(from + unit + group * floats, full);
        store_some(to + gate * plan.units + unit, sum, full);
      }
    }
  }
}

template <class Cell, class Lanes, class A, class R>
bool backward_of(const sunhwan_recurrence &call, const sunhwan_gradients &gradients, int threads, A activation,
                 R recurrent_activation) {
  using Tile = BackwardTile<Cell, Lanes, A, R>;
  bool wants_weights = gradients.d_kernel || gradients.d_recurrent_kernel || gradients.d_bias;
  Arena counting = {nullptr};
  counting.take<char>(plan_bytes(call));
  Plan shape = make_plan_shape(call, Lanes::tile_shape());
  Weights<Cell, Lanes> sized(call, shape);
  sized.pack_backward(call, gradients.d_inputs, counting);
  long floats = wants_weights ? (WeightGradients<Cell, Lanes>::floats(sized) + 15) / 16 * 16 : 0;
  counting.take<float>(shape.groups * floats);
  Arena of_worker = {nullptr};
  Tile(call, gradients, sized, activation, recurrent_activation, of_worker);

  threads = (int)least(threads, shape.groups);
  Workspace workspace(counting.used + threads * of_worker.used);
  if (!workspace.data) return false;
  Arena arena = {workspace.data};
  Weights<Cell, Lanes> weights(call, make_plan(call, Lanes::tile_shape(), arena.take<char>(plan_bytes(call))));
  weights.pack_backward(call, gradients.d_inputs, arena);
  float *groups = arena.take<float>(shape.groups * floats);

  struct Work {
    const sunhwan_recurrence &call;
    const sunhwan_gradients &gradients;
    const Weights<Cell, Lanes> &weights;
    A activation;
    R recurrent_activation;
    float *groups;
    long floats;
    char *memory;
    size_t bytes;
    long slices;  // of the weights' gradients, for the last step: where that is short, waking a thread takes longer
  } work = {call, gradients, weights, activation, recurrent_activation, groups, floats, arena.base + arena.used,
            of_worker.used, shape.groups * floats < 1 << 20 ? 1 : threads};
  parallel(
      weights.plan.groups,
      [](void *context, long group, int worker) {
        Work &w = *(Work *)context;
        Arena arena = {w.memory + worker * w.bytes};
        Arena sums_at = {(char *)(w.groups + group * w.floats)};
        if (w.floats) memset(sums_at.base, 0, w.floats * 4);
        WeightGradients<Cell, Lanes> sums(w.weights, sums_at);
        Tile tile(w.call, w.gradients, w.weights, w.activation, w.recurrent_activation, arena);
        for (long i = w.weights.plan.group_begin[group]; i < w.weights.plan.group_begin[group + 1]; i++) tile.run(i, &sums);
      },
      &work, threads);
  if (wants_weights)
    parallel(
        work.slices,
        [](void *context, long slice, int) {
          Work &w = *(Work *)context;
          write_weight_gradients<Cell, Lanes>(w.weights, w.gradients, w.groups, w.floats, slice, w.slices);
        },
        &work, threads);
  return true;
}

bool forward(const sunhwan_recurrence &call, int threads) {
  return with_types(call, [&](auto cell, auto activation, auto recurrent_activation) {
    using Cell = decltype(cell);
    return lanes_hold_rows(call) ? forward_of<Cell, AcrossRows>(call, threads, activation, recurrent_activation)
                                 : forward_of<Cell, AcrossUnits>(call, threads, activation, recurrent_activation);
  });
}

bool backward(const sunhwan_recurrence &call, const sunhwan_gradients &gradients, int threads) {
  return with_types(call, [&](auto cell, auto activation, auto recurrent_activation) {
    using Cell = decltype(cell);
    return lanes_hold_rows(call)
               ? backward_of<Cell, AcrossRows>(call, gradients, threads, activation, recurrent_activation)
               : backward_of<Cell, AcrossUnits>(call, gradients, threads, activation, recurrent_activation);
  });
}

// Weights laid out for one row and for a register block of them.
template <class Cell, class A, class R>
struct StepperOf : Stepper {
  using Lanes = AcrossUnits;
  using Tile = ForwardTile<Cell, Lanes, A, R>;
  sunhwan_recurrence call;
  A activation;
  R recurrent_activation;
  Weights<Cell, Lanes> one, many;
  Workspace memory;
  size_t scratch;

  static sunhwan_recurrence of_rows(sunhwan_recurrence call, int rows) {
    call.batch = rows;
    call.timesteps = 1;
    call.go_backwards = call.return_sequences = call.dropout_mask_gates = call.recurrent_dropout_mask_gates = 0;
    call.mask = nullptr;
    call.dropout_mask = call.recurrent_dropout_mask = nullptr;
    call.output = call.saved = nullptr;
    return call;
  }
  static Weights<Cell, Lanes> weights_for(const sunhwan_recurrence &call, int rows) {
    Plan plan = make_plan_shape(of_rows(call, rows), Lanes::tile_shape());
    plan.tile_rows = rows;
    return Weights<Cell, Lanes>(of_rows(call, rows), plan);
  }
  static size_t bytes_for(const sunhwan_recurrence &call) {
    Arena counting = {nullptr};
    weights_for(call, 1).pack_forward(call, counting);
    weights_for(call, ROWS).pack_forward(call, counting);
    return counting.used;
  }

  StepperOf(const sunhwan_recurrence &call_, A activation_, R recurrent_activation_)
      : call(of_rows(call_, 1)),
        activation(activation_),
        recurrent_activation(recurrent_activation_),
        one(weights_for(call, 1)),
        many(weights_for(call, ROWS)),
        memory(bytes_for(call)) {
    if (!memory.data) return;
    Arena arena = {memory.data};
    one.pack_forward(call, arena);
    many.pack_forward(call, arena);
    Arena counting = {nullptr};
    Tile(call, many, activation, recurrent_activation, counting);
    scratch = counting.used;
  }

  bool step(long batch, const float *inputs, float *states) const override {
    Workspace workspace(scratch);
    if (!workspace.data) return false;
    sunhwan_recurrence step = call;
    step.batch = batch;
    step.inputs = inputs;
    step.initial_state = step.states = states;
    Weights<Cell, Lanes> weights = batch == 1 ? one : many;
    weights.plan.batch = batch;
    for (long first = 0; first < batch; first += ROWS) {
      sunhwan::Tile rows = {first, (int)least(ROWS, batch - first)};
      weights.plan.tile = &rows;
      Arena arena = {workspace.data};
      Tile(step, weights, activation, recurrent_activation, arena).run(0);
    }
    return true;
  }
};

Stepper *new_stepper(const sunhwan_recurrence &call) {
  return with_types(call, [&](auto cell, auto activation, auto recurrent_activation) -> Stepper * {
    auto *stepper = new StepperOf<decltype(cell), decltype(activation), decltype(recurrent_activation)>(
        call, activation, recurrent_activation);
    if (stepper->memory.data) return stepper;
    delete stepper;
    return nullptr;
  });
}

double multiply_adds(long rounds) {
  constexpr int SUMS = ROWS * VECTORS;
  Vec sums[SUMS], factor = broadcast(0.999f), term = broadcast(1e-3f);
  for (int i = 0; i < SUMS; i++) sums[i] = broadcast((float)i);
  for (long round = 0; round < rounds; round++) {
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++) sums[i] = sums[i] * factor + term;
  }
  Vec total = {};
  for (int i = 0; i < SUMS; i++) total += sums[i];
  volatile float kept = total[0];
  (void)kept;
  return (double)rounds * SUMS * LANES * 2;
}

}  // namespace

extern const Kernels kernels = {SUNHWAN_NAME(SUNHWAN_VARIANT), forward, backward, new_stepper, multiply_adds};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan
