// What lies across the lanes of a vector: units, or rows of the batch.
//
// Within a tile, one value for each row and column (units or features) is a slot: [blocks][rows][LANES].
//
// Units across the lanes: a block has LANES columns and a vector for each row of the batch. Rows are at constant
// offsets from one pointer, and each may run as many steps as it has. Units are padded to a multiple of LANES.
//
// Rows across the lanes: a block is one column, its "rows" are vectors of LANES rows of the batch. Only the batch is
// padded: for few units, where the other would compute mostly padding. Outputs, states and their gradients have the same
// bits either way; the gradients of weights are summed over rows in another order.
#ifndef SUNHWAN_LANES_H
#define SUNHWAN_LANES_H

#include "plan.h"
#include "pointwise.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

struct AcrossUnits {
  static constexpr bool PADS_UNITS = true;
  static constexpr int WIDTH = LANES;  // columns of a block
  // The largest register blocks, of a product and of a weight gradient: M rows, N blocks.
  static constexpr int M = ROWS, N = VECTORS, WIDEST = 8;
  static constexpr int GRADIENT_M = GRADIENT_ROWS, GRADIENT_N = GRADIENT_VECTORS;
  static constexpr int GRADIENT_SUM = 0;  // a chunk's rows and steps are few enough to be summed in one go

  // Few rows need more vectors, or each sum waits for its last addition.
  static constexpr int widest_panel(int rows) {
    const int fitting = M * N / rows;
    return rows == 1 ? WIDEST : fitting > WIDEST / 2 ? WIDEST / 2 : fitting > N ? fitting : N;
  }
  static int blocks_of(long columns) { return (int)((columns + LANES - 1) / LANES); }
  static int rows_of(int batch_rows) { return batch_rows; }
  static constexpr TileShape tile_shape() { return {M, 1}; }
  static long saved_per_sequence(const Plan &plan, int kept) { return plan.timesteps * kept * ((plan.units + 15) / 16 * 16); }

  // From one column of a slot to the next within a block, and to the first one of the next block.
  static constexpr long column(long) { return 1; }
  static constexpr long columns(long block) { return block; }
  static long offset(long column, long block) { return column / LANES * block + column % LANES; }

  // One column of a slot times a row of a panel.
  template <int M, int N>
  static SUNHWAN_INLINE_METHOD void multiply(const float *a, const float *b, Vec (&sum)[M][N]) {
    Vec blocks[N];
    times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { blocks[n] = load(b + n * LANES); });
    times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
      Vec row = broadcast(a[m * LANES]);
      times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] += row * blocks[n]; });
    });
  }
  // M columns of one slot times N blocks of another.
  template <int M, int N>
  static SUNHWAN_INLINE_METHOD void multiply_transposed(const float *a, const float *b, long block, Vec (&sum)[M][N]) {
    Vec blocks[N];
    times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { blocks[n] = load(b + n * block); });
    times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
      Vec column = broadcast(a[m]);
      times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] += column * blocks[n]; });
    });
  }
  static SUNHWAN_INLINE_METHOD void add_to(float *total, Vec sum) { store(total, load(total) + sum); }

  static void copy_block(const float *from, long columns, float *to) {
    store(to, load_some(from, (int)columns));
  }
  static void set_bias(float *slot, long unit, float value) { slot[unit] = value; }

  // Rows of arrays, row r at at(r), to a slot, onto a slot, and back. The lanes beyond the columns hold anything.
  template <class At>
  static SUNHWAN_INLINE_METHOD void read_rows(At at, int rows, long columns, float *to, const Extent &extent) {
    for (int r = 0; r < rows; r++) each_block(at(r), r, columns, to, extent, [](float *to, Vec from) { store(to, from); });
  }
  template <class At>
  static SUNHWAN_INLINE_METHOD void add_rows(At at, int rows, long columns, float *to, const Extent &extent) {
    for (int r = 0; r < rows; r++)
      each_block(at(r), r, columns, to, extent, [](float *to, Vec from) { store(to, load(to) + from); });
  }
  template <class At>
  static SUNHWAN_INLINE_METHOD void write_rows(const float *from, int rows, const Extent &extent, long columns, At at) {
    for (int r = 0; r < rows; r++) {
      float *to = at(r);
      for (int i = 0; i < extent.blocks; i++)
        store_some(to + i * LANES, load(from + i * extent.block() + r * LANES), columns_left(columns, i));
    }
  }

 private:
  static int columns_left(long columns, int block) {
    return (int)(columns - block * LANES < LANES ? columns - block * LANES : LANES);
  }
  template <class F>
  static SUNHWAN_INLINE_METHOD void each_block(const float *from, int r, long columns, float *to, const Extent &extent, F f) {
    for (int i = 0; i < extent.blocks; i++) {
      const int left = columns_left(columns, i);
      f(to + i * extent.block() + r * LANES, load_some(from + i * LANES, left));
    }
  }
};

struct AcrossRows {
  static constexpr bool PADS_UNITS = false;
  static constexpr int WIDTH = 1;
  static constexpr int M = VECTORS, N = ROWS, WIDEST = N;
  static constexpr int GRADIENT_M = 4, GRADIENT_N = LANES == 16 ? 4 : 3;
  // Of few units, each lane's sum is taken up after so many vectors of a chunk's 64 and more: with all of them in one go,
  // one in 500 gradients of one unit was further off than four times NumPy's own error.
  static constexpr int GRADIENT_SUM = 16;

  static constexpr int widest_panel(int) { return N; }
  static int blocks_of(long columns) { return (int)columns; }
  static int rows_of(int batch_rows) { return (batch_rows + LANES - 1) / LANES; }
  static constexpr TileShape tile_shape() { return {M * LANES, LANES}; }
  static long saved_per_sequence(const Plan &plan, int kept) { return plan.timesteps * kept * plan.units; }

  static constexpr long column(long block) { return block; }
  static constexpr long columns(long block) { return LANES * block; }
  static long offset(long column, long block) { return column * block; }

  template <int M, int N>
  static SUNHWAN_INLINE_METHOD void multiply(const float *a, const float *b, Vec (&sum)[M][N]) {
    Vec rows[M];
    times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA { rows[m] = load(a + m * LANES); });
    times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA {
      Vec weight = broadcast(b[n]);
      times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA { sum[m][n] += rows[m] * weight; });
    });
  }
  template <int M, int N>
  static SUNHWAN_INLINE_METHOD void multiply_transposed(const float *a, const float *b, long block, Vec (&sum)[M][N]) {
    Vec columns[N];
    times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { columns[n] = load(b + n * block); });
    times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
      Vec row = load(a + m * block);
      times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] += row * columns[n]; });
    });
  }
  static SUNHWAN_INLINE_METHOD void add_to(float *total, Vec sum) { *total += sum_of(sum); }

  static void copy_block(const float *from, long, float *to) { *to = *from; }
  static void set_bias(float *slot, long unit, float value) { store(slot + unit * LANES, broadcast(value)); }

  // By squares of LANES rows and columns. Lanes beyond the rows repeat the last one, so that nothing is computed there
  // that is not computed elsewhere; of gradients, which are added, they get none.
  template <class At>
  static SUNHWAN_INLINE_METHOD void read_rows(At at, int rows, long columns, float *to, const Extent &extent) {
    each_square(at, rows, true, columns, to, extent, [](float *to, Vec from) { store(to, from); });
  }
  template <class At>
  static SUNHWAN_INLINE_METHOD void add_rows(At at, int rows, long columns, float *to, const Extent &extent) {
    each_square(at, rows, false, columns, to, extent, [](float *to, Vec from) { store(to, load(to) + from); });
  }
  template <class At>
  static SUNHWAN_INLINE_METHOD void write_rows(const float *from, int rows, const Extent &extent, long columns, At at) {
    for (int first = 0; first < rows; first += LANES, from += LANES)
      for (long begin = 0; begin < columns; begin += LANES) {
        const int full = (int)(columns - begin < LANES ? columns - begin : LANES);
        Vec square[LANES] = {};
        for (int c = 0; c < full; c++) square[c] = load(from + (begin + c) * extent.block());
        transpose(square);
        for (int r = 0; r < LANES && first + r < rows; r++) store_some(at(first + r) + begin, square[r], full);
      }
  }

 private:
  template <class At, class F>
  static SUNHWAN_INLINE_METHOD void each_square(At at, int rows, bool repeat, long columns, float *to, const Extent &extent,
                                                F f) {
    for (int first = 0; first < rows; first += LANES, to += LANES)
      for (long begin = 0; begin < columns; begin += LANES) {
        const int full = (int)(columns - begin < LANES ? columns - begin : LANES);
        Vec square[LANES] = {};
        for (int r = 0; r < LANES && (repeat || first + r < rows); r++) {
          const float *from = at(first + r < rows ? first + r : rows - 1) + begin;
          square[r] = load_some(from, full);
        }
        transpose(square);
        for (int c = 0; c < full; c++) f(to + (begin + c) * extent.block(), square[c]);
      }
  }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
