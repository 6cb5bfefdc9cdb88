// The two products that everything is made of, with their sums held in registers.
//
// Rows of the batch are kept in blocks of LANES columns: a: [columns / LANES][rows][LANES], so that one register
// block reads its rows at constant offsets from one pointer. A weight matrix is packed once a call into panels
// of up to VECTORS vectors: [panel][k][vectors of the panel][LANES], read from front to back.
#ifndef SUNHWAN_PRODUCT_H
#define SUNHWAN_PRODUCT_H

#include "simd.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

// One term of a sum of products: rows of a (k columns in blocks) times a panel b (k rows). All terms of a sum
// have masks, or none.
struct Term {
  const float *a;
  const float *b;
  int k;
  const float *mask = nullptr;  // laid out as c: it multiplies this product
};

// Memory to be brought near while a product computes: without it the backward pass, which reads the saved steps from
// last to first, waits for memory a quarter of its time.
struct Ahead {
  const char *next = nullptr, *end = nullptr;

  SUNHWAN_INLINE_METHOD void some() {
    if (next >= end) return;
    for (int line = 0; line < LANES; line++) __builtin_prefetch(next + 64 * line);
    next += 64 * LANES;
  }
};

struct ProductArguments {
  const Term *terms;
  int terms_count;
  long a_block;       // floats from one block of a's columns to the next: rows * LANES
  const float *init;  // what the sums begin with: vectors init_vector apart, for each row init_row apart
  long init_vector, init_row;
  float *c;  // [vectors][rows][LANES], vectors c_vector apart
  long c_vector;
  Ahead *ahead;
};

// Products that a sum takes up before it is added to what it was before: one long sum in float32 loses digits.
constexpr int LONGEST_SUM = 128;

// c = init + sum over terms of mask * (a b), for M rows and N vectors of columns.
template <int M, int N>
void product(const ProductArguments &p) {
  Vec sum[M][N];
  auto each_sum = [&](auto f) SUNHWAN_INLINE_LAMBDA {
    times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA { times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { f(m, n); }); });
  };
  each_sum([&](auto m, auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] = Vec{}; });
  // Where the sums go next is added to what is here: at first init, then c.
  const float *before = p.init;
  long before_vector = p.init_vector, before_row = p.init_row;
  int summed = 0;
  Ahead ahead = *p.ahead;
  const Term *end = p.terms + p.terms_count;
  for (const Term *term = p.terms; term < end; term++) {
    const float *block = term->a, *b = term->b;
    auto multiply = [&](const float *a) SUNHWAN_INLINE_LAMBDA {
      Vec vectors[N];
      times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { vectors[n] = load(b + n * LANES); });
      times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
        Vec row = broadcast(a[m * LANES]);
        times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] += row * vectors[n]; });
      });
      b += N * LANES;
    };
    for (int k = term->k; k > 0;) {
      const int chunk = k < LONGEST_SUM ? k : LONGEST_SUM;
      if (summed && summed + chunk > LONGEST_SUM) {
        each_sum([&](auto m, auto n) SUNHWAN_INLINE_LAMBDA {
          const long at = n * p.c_vector + m * LANES;
          Vec s = term->mask ? load(term->mask + at) * sum[m][n] : sum[m][n];
          store(p.c + at, load(before + n * before_vector + m * before_row) + s);
          sum[m][n] = Vec{};
        });
        before = p.c, before_vector = p.c_vector, before_row = LANES;
        summed = 0;
      }
      int left = chunk;
      for (; left >= LANES; left -= LANES, block += p.a_block) {
        ahead.some();
#pragma GCC unroll 4
        for (int i = 0; i < LANES; i++) multiply(block + i);
      }
#pragma GCC unroll 1
      for (int i = 0; i < left; i++) multiply(block + i);
      summed += chunk;
      k -= chunk;
    }
    if (term->mask || term + 1 == end) {
      each_sum([&](auto m, auto n) SUNHWAN_INLINE_LAMBDA {
        const long at = n * p.c_vector + m * LANES;
        Vec s = term->mask ? load(term->mask + at) * sum[m][n] : sum[m][n];
        store(p.c + at, load(before + n * before_vector + m * before_row) + s);
        sum[m][n] = Vec{};
      });
      before = p.c, before_vector = p.c_vector, before_row = LANES;
      summed = 0;
    }
  }
  *p.ahead = ahead;
}

struct GradientArguments {
  const float *a;  // [steps][rows][LANES]: the block of columns k, of which M are used
  const float *b;  // [steps][vectors][rows][LANES]
  long a_step, b_step, b_vector;
  const int *rows;  // rows that took part in each step
  int steps;
  float *c;  // [k][columns], rows c_row apart
  long c_row;
};

// c += a^T b, summed over rows and steps, for M rows of c and N vectors of its columns.
template <int M, int N>
void gradient_product(const GradientArguments &p) {
  Vec sum[M][N];
  times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA { times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] = Vec{}; }); });
  for (int step = 0; step < p.steps; step++) {
    const float *a = p.a + step * p.a_step, *b = p.b + step * p.b_step;
    for (const float *a_end = a + p.rows[step] * LANES; a < a_end; a += LANES, b += LANES) {
      Vec vectors[N];
      times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { vectors[n] = load(b + n * p.b_vector); });
      times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
        Vec column = broadcast(a[m]);
        times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] += column * vectors[n]; });
      });
    }
  }
  times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
    times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA {
      float *c = p.c + m * p.c_row + n * LANES;
      store(c, load(c) + sum[m][n]);
    });
  });
}

// The largest panel for tiles of so many rows: few rows need more vectors, or each sum waits for its last addition.
SUNHWAN_INLINE int widest_panel(long rows) { return rows == 1 ? 8 : rows == 2 ? 4 : VECTORS; }

// How many vectors the next panel has, of those that are left: no panel of one beside a wide one.
SUNHWAN_INLINE int next_panel(long left, int widest) {
  return (int)(left <= widest ? left : left < 2 * widest ? (left + 1) / 2 : widest);
}

#define SUNHWAN_ROW(name, m) {name<m, 1>, name<m, 2>, name<m, 3>}
constexpr void (*PRODUCTS[ROWS][VECTORS])(const ProductArguments &) = {
    SUNHWAN_ROW(product, 1), SUNHWAN_ROW(product, 2), SUNHWAN_ROW(product, 3), SUNHWAN_ROW(product, 4),
#if defined(__AVX512F__) || defined(__aarch64__)
    SUNHWAN_ROW(product, 5), SUNHWAN_ROW(product, 6), SUNHWAN_ROW(product, 7), SUNHWAN_ROW(product, 8),
#endif
};
constexpr int COLUMNS = ROWS < LANES ? ROWS : LANES;  // rows of a weight gradient in one register block
constexpr void (*GRADIENT_PRODUCTS[ROWS][VECTORS])(const GradientArguments &) = {
    SUNHWAN_ROW(gradient_product, 1), SUNHWAN_ROW(gradient_product, 2), SUNHWAN_ROW(gradient_product, 3),
    SUNHWAN_ROW(gradient_product, 4),
#if defined(__AVX512F__) || defined(__aarch64__)
    SUNHWAN_ROW(gradient_product, 5), SUNHWAN_ROW(gradient_product, 6), SUNHWAN_ROW(gradient_product, 7),
    SUNHWAN_ROW(gradient_product, 8),
#endif
};
#undef SUNHWAN_ROW
constexpr void (*WIDE_PRODUCTS[2][5])(const ProductArguments &) = {
    {product<1, 4>, product<1, 5>, product<1, 6>, product<1, 7>, product<1, 8>},
    {product<2, 4>, nullptr, nullptr, nullptr, nullptr},
};

SUNHWAN_INLINE void product_of(int rows, int vectors, const ProductArguments &arguments) {
  if (vectors > VECTORS)
    WIDE_PRODUCTS[rows - 1][vectors - 4](arguments);
  else
    PRODUCTS[rows - 1][vectors - 1](arguments);
}

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
