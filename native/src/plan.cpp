#include "plan.h"

#include <algorithm>

namespace sunhwan {

double worth_of_threads(const sunhwan_recurrence &call) {
  // An activation counts as 32 multiply-adds.
  const double row_step = 2.0 * (call.features + call.units + 32) * gates_of(call.cell) * call.units;
  return 1 + row_step * call.batch * call.timesteps / 4e6;
}

namespace {

// Weights up to this size stay near the processor while one register block of rows after the other goes through
// the sequence; larger ones are read again at every step, and more rows must share each reading.
constexpr double NEAR_BYTES = 768e3;
// Partial weight gradients of all groups together, unless so few would be left that threads stood idle.
constexpr double PARTIAL_BYTES = 64e6;

double weight_bytes(const sunhwan_recurrence &call) {
  return 4.0 * gates_of(call.cell) * call.units * (call.features + call.units);
}

long round_up(long n, long multiple) { return (n + multiple - 1) / multiple * multiple; }

// What tiles are cut from: rows, or multiples of them.
long parts_of(long batch, TileShape shape) { return (batch + shape.multiple - 1) / shape.multiple; }

// Small batches are cut so that two threads have equal work, large ones into full register blocks.
long tiles_of(const sunhwan_recurrence &call, TileShape shape, long parts) {
  long rows = shape.rows / shape.multiple;
  if (weight_bytes(call) > NEAR_BYTES) rows = std::min(4 * rows, std::max(rows, parts / 4));
  long tiles = (parts + rows - 1) / rows;
  if (tiles < 8 && worth_of_threads(call) >= 2) tiles = round_up(tiles, 2);
  return std::min(tiles, parts);
}

void read_mask(const sunhwan_recurrence &call, Plan &plan) {
  auto length = [&](long row) {
    const uint8_t *mask = call.mask + row * call.timesteps;
    return std::count_if(mask, mask + call.timesteps, [](uint8_t m) { return m != 0; });
  };
  // `times` holds the lengths by row until the order is known.
  for (long row = 0; row < plan.batch; row++) {
    plan.order[row] = row;
    plan.times[row] = length(row);
  }
  std::stable_sort(plan.order, plan.order + plan.batch,
                   [&](int32_t a, int32_t b) { return plan.times[a] > plan.times[b]; });
  for (long index = 0; index < plan.batch; index++) plan.lengths[index] = plan.times[plan.order[index]];
  for (long index = 0; index < plan.batch; index++) {
    const uint8_t *mask = call.mask + plan.order[index] * call.timesteps;
    int32_t *times = plan.times + index * call.timesteps;
    for (long read = 0; read < call.timesteps; read++)
      if (mask[call.go_backwards ? call.timesteps - 1 - read : read]) *times++ = read;
  }
}

template <class T>
T *take(char *&memory, size_t count) {
  T *taken = reinterpret_cast<T *>(memory);
  memory += round_up(count * sizeof(T), 64);
  return taken;
}

}  // namespace

size_t plan_bytes(const sunhwan_recurrence &call) {
  size_t bytes = call.batch * sizeof(Tile) + (call.batch + 1) * sizeof(long) + 2 * 64;
  if (call.mask) bytes += call.batch * (2 + call.timesteps) * sizeof(int32_t) + 3 * 64;
  return bytes;
}

Plan make_plan_shape(const sunhwan_recurrence &call, TileShape shape) {
  Plan plan = {};
  plan.batch = call.batch;
  plan.timesteps = call.timesteps;
  plan.features = call.features;
  plan.units = call.units;
  plan.gates = gates_of(call.cell);
  plan.states = states_of(call.cell);
  const long parts = parts_of(call.batch, shape);
  plan.tiles = tiles_of(call, shape, parts);
  plan.tile_rows = plan.tiles ? std::min(plan.batch, (parts + plan.tiles - 1) / plan.tiles * shape.multiple) : 0;
  long most_groups = std::max(8.0, PARTIAL_BYTES / weight_bytes(call));
  // A group's sum costs as much as some timesteps of a row.
  long worth = std::max(1L, plan.batch * plan.timesteps / 64);
  plan.groups = std::min({plan.tiles, most_groups, worth, 64L});
  return plan;
}

Plan make_plan(const sunhwan_recurrence &call, TileShape shape, void *memory_) {
  char *memory = static_cast<char *>(memory_);
  Plan plan = make_plan_shape(call, shape);
  plan.tile = take<Tile>(memory, plan.tiles);
  const long parts = parts_of(plan.batch, shape);
  for (long i = 0; i < plan.tiles; i++) {
    long first = parts * i / plan.tiles * shape.multiple, end = parts * (i + 1) / plan.tiles * shape.multiple;
    plan.tile[i] = {first, (int)(std::min(end, plan.batch) - first)};
  }
  plan.group_begin = take<long>(memory, plan.groups + 1);
  for (long i = 0; i <= plan.groups; i++) plan.group_begin[i] = plan.tiles * i / plan.groups;
  if (call.mask) {
    plan.order = take<int32_t>(memory, plan.batch);
    plan.lengths = take<int32_t>(memory, plan.batch);
    plan.times = take<int32_t>(memory, plan.batch * plan.timesteps);
    read_mask(call, plan);
  }
  return plan;
}

}  // namespace sunhwan
