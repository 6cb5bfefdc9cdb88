// What each instruction set's copy of the kernels offers. Arguments have been checked (abi.cpp).
#ifndef SUNHWAN_KERNELS_H
#define SUNHWAN_KERNELS_H

#include "sunhwan.h"

namespace sunhwan {

struct Stepper;  // of one instruction set: it frees itself

struct Kernels {
  const char *name;
  // False where there is not enough memory; then nothing was written.
  bool (*forward)(const sunhwan_recurrence &, int threads);
  bool (*backward)(const sunhwan_recurrence &, const sunhwan_gradients &, int threads);
  Stepper *(*new_stepper)(const sunhwan_recurrence &);
  // Rounds of multiply-adds on registers; returns the operations, two for each.
  double (*multiply_adds)(long rounds);
};

struct Stepper {
  virtual ~Stepper() = default;
  virtual bool step(long batch, const float *inputs, float *states) const = 0;
};

namespace avx512 { extern const Kernels kernels; }
namespace avx2 { extern const Kernels kernels; }
namespace portable { extern const Kernels kernels; }

}  // namespace sunhwan

#endif
