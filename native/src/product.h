// The two products that everything is made of, with their sums held in registers.
//
// They come in two forms, by what lies across the lanes of a vector (lanes.h). A register block of sums has M rows
// of slots and N blocks of columns, its weights packed into panels of N: [panel][k][N][WIDTH].
#ifndef SUNHWAN_PRODUCT_H
#define SUNHWAN_PRODUCT_H

#include "lanes.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

// One term of a sum of products: a slot a of k columns times a panel b of k rows. All terms of a sum have masks, or
// none.
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
  long a_block;       // floats from one block of a slot to the next: rows * LANES
  const float *init;  // what the sums begin with: blocks init_block apart, for each row init_row apart
  long init_block, init_row;
  float *c;  // [blocks][rows][LANES], blocks c_block apart
  long c_block;
  Ahead *ahead;
};

// Products that a sum takes up before it is added to what it was before: one long sum in float32 loses digits.
constexpr int LONGEST_SUM = 128;

// c = init + sum over terms of mask * (a b), for M rows and N blocks of columns.
template <class Lanes, int M, int N>
void product(const ProductArguments &p) {
  Vec sum[M][N];
  auto each_sum = [&](auto f) SUNHWAN_INLINE_LAMBDA {
    times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA { times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { f(m, n); }); });
  };
  each_sum([&](auto m, auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] = Vec{}; });
  // Where the sums go next is added to what is here: at first init, then c.
  const float *before = p.init;
  long before_block = p.init_block, before_row = p.init_row;
  int summed = 0;
  Ahead ahead = *p.ahead;
  const Term *end = p.terms + p.terms_count;
  for (const Term *term = p.terms; term < end; term++) {
    const float *a = term->a, *b = term->b;
    auto multiply = [&](const float *a) SUNHWAN_INLINE_LAMBDA {
      Lanes::template multiply<M, N>(a, b, sum);
      b += N * Lanes::WIDTH;
    };
    for (int k = term->k; k > 0;) {
      const int chunk = k < LONGEST_SUM ? k : LONGEST_SUM;
      if (summed && summed + chunk > LONGEST_SUM) {
        each_sum([&](auto m, auto n) SUNHWAN_INLINE_LAMBDA {
          const long at = n * p.c_block + m * LANES;
          Vec s = term->mask ? load(term->mask + at) * sum[m][n] : sum[m][n];
          store(p.c + at, load(before + n * before_block + m * before_row) + s);
          sum[m][n] = Vec{};
        });
        before = p.c, before_block = p.c_block, before_row = LANES;
        summed = 0;
      }
      int left = chunk;
      for (; left >= LANES; left -= LANES) {
        ahead.some();
        const long column = Lanes::column(p.a_block);
#pragma GCC unroll 4
        for (int i = 0; i < LANES; i++) multiply(a + i * column);
        a += Lanes::columns(p.a_block);
      }
#pragma GCC unroll 1
      for (int i = 0; i < left; i++) multiply(a + i * Lanes::column(p.a_block));
      summed += chunk;
      k -= chunk;
    }
    if (term->mask || term + 1 == end) {
      each_sum([&](auto m, auto n) SUNHWAN_INLINE_LAMBDA {
        const long at = n * p.c_block + m * LANES;
        Vec s = term->mask ? load(term->mask + at) * sum[m][n] : sum[m][n];
        store(p.c + at, load(before + n * before_block + m * before_row) + s);
        sum[m][n] = Vec{};
      });
      before = p.c, before_block = p.c_block, before_row = LANES;
      summed = 0;
    }
  }
  *p.ahead = ahead;
}

struct GradientArguments {
  const float *a;  // [steps][..] of a slot the columns k of which M are used
  const float *b;  // [steps][blocks][rows][LANES]
  long a_step, b_step;
  long block;       // floats from one block of a slot to the next, of a and of b
  const int *rows;  // that took part in each step
  int steps;
  float *c;  // [k][columns], rows c_row apart
  long c_row;
};

// c += a^T b, summed over rows and steps, for M rows of c and N blocks of its columns.
template <class Lanes, int M, int N>
void gradient_product(const GradientArguments &p) {
  Vec sum[M][N];
  times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA { times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { sum[m][n] = Vec{}; }); });
  auto add_steps = [&](int step, int end) SUNHWAN_INLINE_LAMBDA {
    for (; step < end; step++) {
      const float *a = p.a + step * p.a_step, *b = p.b + step * p.b_step;
      for (const float *a_end = a + p.rows[step] * LANES; a < a_end; a += LANES, b += LANES)
        Lanes::template multiply_transposed<M, N>(a, b, p.block, sum);
    }
  };
  // A full block has no registers to spare, and more units than make it a matter of the last digits.
  if constexpr (Lanes::GRADIENT_SUM == 0 || M == Lanes::GRADIENT_M) {
    add_steps(0, p.steps);
    times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
      times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { Lanes::add_to(p.c + m * p.c_row + n * Lanes::WIDTH, sum[m][n]); });
    });
  } else {
    Vec before[M * N] = {};
    const int most = p.rows[0] < Lanes::GRADIENT_SUM ? Lanes::GRADIENT_SUM / p.rows[0] : 1;
    for (int step = 0; step < p.steps; step += most) {
      add_steps(step, step + most < p.steps ? step + most : p.steps);
      times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
        times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { before[m * N + n] += sum[m][n], sum[m][n] = Vec{}; });
      });
      asm volatile("" : : "r"(before) : "memory");  // they stay in memory: the sums need the registers
    }
    times<M>([&](auto m) SUNHWAN_INLINE_LAMBDA {
      times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { Lanes::add_to(p.c + m * p.c_row + n * Lanes::WIDTH, before[m * N + n]); });
    });
  }
}

// How many blocks the next panel has, of those that are left: no panel of one beside a wide one.
SUNHWAN_INLINE int next_panel(long left, int widest) {
  return (int)(left <= widest ? left : left < 2 * widest ? (left + 1) / 2 : widest);
}

// The products of every size, by M - 1 and N - 1.
template <class Lanes>
struct Products {
  void (*of[Lanes::M][Lanes::WIDEST])(const ProductArguments &) = {};
  void (*gradient_of[Lanes::GRADIENT_M][Lanes::GRADIENT_N])(const GradientArguments &) = {};

  constexpr Products() {
    fill<Lanes::M, Lanes::widest_panel(Lanes::M)>();
    fill_gradient<Lanes::GRADIENT_M, Lanes::GRADIENT_N>();
  }

 private:
  template <int M, int N>
  constexpr void fill() {
    of[M - 1][N - 1] = product<Lanes, M, N>;
    if constexpr (N > 1)
      fill<M, N - 1>();
    else if constexpr (M > 1)
      fill<M - 1, Lanes::widest_panel(M - 1)>();
  }
  template <int M, int N>
  constexpr void fill_gradient() {
    gradient_of[M - 1][N - 1] = gradient_product<Lanes, M, N>;
    if constexpr (N > 1)
      fill_gradient<M, N - 1>();
    else if constexpr (M > 1)
      fill_gradient<M - 1, Lanes::GRADIENT_N>();
  }
};
template <class Lanes>
constexpr Products<Lanes> PRODUCTS;

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
