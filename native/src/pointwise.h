// What happens to each unit by itself: activations and their slopes, over the rows of a tile.
//
// Within a tile, one value a unit and row is an array [blocks of units][rows][LANES]; several such arrays lie one
// after the other and are called slots.
#ifndef SUNHWAN_POINTWISE_H
#define SUNHWAN_POINTWISE_H

#include "simd.h"
#include "sunhwan.h"

// A function over all units, with everything that it calls made part of its loop.
#define SUNHWAN_POINTWISE static __attribute__((flatten)) void

namespace sunhwan {
namespace SUNHWAN_VARIANT {

// The extent of a slot, and of the rows that take part at the present step: the first `active` of `rows`.
struct Extent {
  int blocks, rows, active;

  long block() const { return (long)rows * LANES; }
  long slot() const { return blocks * block(); }

  // Calls f with the place of every vector of the active rows.
  template <class F>
  SUNHWAN_INLINE_METHOD void each(F f) const {
    each<1>(f);
  }
  // The same for CHAINS vectors at a time, if what f does is one long chain of operations. Several chains in one f
  // belong into loops of their own: an LSTM's whole step in a single loop took twice the time.
  template <class F>
  SUNHWAN_INLINE_METHOD void each_chain(F f) const {
    each<CHAINS>(f);
  }

 private:
  template <int N, class F>
  SUNHWAN_INLINE_METHOD void each(F f) const {
    for (int i = 0; i < blocks; i++) {
      long offset = i * block();
      const long end = offset + (long)active * LANES;
      for (; offset + N * LANES <= end; offset += N * LANES) f(At<N>{offset});
      for (; offset < end; offset += LANES) f(At<1>{offset});
    }
  }
};

// An activation: a function of x, and its slope, which takes the function's value y. At a kink the slope is 0.
struct Tanh {
  template <class V>
  SUNHWAN_INLINE_METHOD V operator()(V x) const { return tanh(x); }
  template <class V>
  SUNHWAN_INLINE_METHOD V slope(V y) const { return 1.0f - y * y; }
};

struct Sigmoid {
  template <class V>
  SUNHWAN_INLINE_METHOD V operator()(V x) const { return sigmoid(x); }
  template <class V>
  SUNHWAN_INLINE_METHOD V slope(V y) const { return y * (1.0f - y); }
};

// Any of them, chosen at run time: a branch a vector, always to the same side, costs less than 25 copies of every
// kernel would weigh.
struct AnyActivation {
  int activation;

  template <class V>
  SUNHWAN_INLINE_METHOD V operator()(V x) const {
    switch (activation) {
      case SUNHWAN_RELU:
        return each_vector(x, [](Vec v) { return v < 0.0f ? Vec{} : v; });  // NaN passes
      case SUNHWAN_TANH:
        return tanh(x);
      case SUNHWAN_SIGMOID:
        return sigmoid(x);
      case SUNHWAN_HARD_SIGMOID:
        return clamp(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f);
      default:
        return x;
    }
  }
  template <class V>
  SUNHWAN_INLINE_METHOD V slope(V y) const {
    switch (activation) {
      case SUNHWAN_RELU:
        return each_vector(y, [](Vec v) { return v > 0.0f ? 1.0f - Vec{} : Vec{}; });
      case SUNHWAN_TANH:
        return Tanh().slope(y);
      case SUNHWAN_SIGMOID:
        return Sigmoid().slope(y);
      case SUNHWAN_HARD_SIGMOID:
        return each_vector(y, [](Vec v) {
          Vec below_one = v < 1.0f ? (1.0f / 6.0f) - Vec{} : Vec{};
          return v > 0.0f ? below_one : Vec{};
        });
      default:
        return each_vector(y, [](Vec) { return 1.0f - Vec{}; });
    }
  }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
