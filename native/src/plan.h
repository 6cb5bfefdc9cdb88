// How a call is cut into work: which rows of the batch make a tile, and which steps each of them runs.
// Computed once a call, for every cell and instruction set, from shapes and the padding mask alone: never from
// the number of threads, on which no sum may depend.
#ifndef SUNHWAN_PLAN_H
#define SUNHWAN_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "sunhwan.h"

namespace sunhwan {

static_assert(sizeof(long) == 8 && sizeof(void *) == 8, "sizes that abi.cpp lets pass need 64 bits");

// Rows of the batch that run through the whole sequence together, `first` counting in Plan::order.
struct Tile {
  long first;
  int rows;
};

// Rows of a tile that fills a register block, and of what number tiles begin at a multiple.
struct TileShape {
  int rows, multiple;
};

struct Plan {
  long batch, timesteps, features, units;
  int gates, states;
  long tiles;
  int tile_rows;      // of the largest tile
  long groups;        // of tiles, whose weight gradients are summed one after the other
  Tile *tile;         // [tiles]
  long *group_begin;  // [groups + 1]: tiles of a group

  // Of a padding mask; NULL without one. A step without data changes no state, so a row simply runs the steps
  // that it has, and rows with about as many make a tile.
  int32_t *order;    // [batch] the row of the batch, longest first
  int32_t *lengths;  // [batch] how many steps with data a row has, in that order
  int32_t *times;    // [batch][timesteps] which steps those are, counted in the order of reading, in that order

  long row(long index) const { return order ? order[index] : index; }
  long length(long index) const { return lengths ? lengths[index] : timesteps; }
  long time(long index, long step) const { return times ? times[index * timesteps + step] : step; }
};

struct CellShape {
  const char *name;
  int gates, states, kept;
};
constexpr CellShape CELLS[] = {SUNHWAN_CELLS};

constexpr bool is_cell(int cell) { return cell >= 0 && cell < (int)(sizeof CELLS / sizeof *CELLS); }
// XLA's handlers ask before the number was checked.
constexpr int gates_of(int cell) { return is_cell(cell) ? CELLS[cell].gates : 1; }
constexpr int states_of(int cell) { return is_cell(cell) ? CELLS[cell].states : 1; }

// How many threads a call is work for: waking one takes about as long as four million operations.
double worth_of_threads(const sunhwan_recurrence &call);

// Bytes that a plan's arrays need, and a plan without them: its sizes only.
size_t plan_bytes(const sunhwan_recurrence &call);
Plan make_plan_shape(const sunhwan_recurrence &call, TileShape shape);

// Fills a plan whose arrays lie in `memory`.
Plan make_plan(const sunhwan_recurrence &call, TileShape shape, void *memory);

}  // namespace sunhwan

#endif
