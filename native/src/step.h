// What a cell is given for one timestep of a tile. All pointers are to slots: [blocks of units][rows][LANES].
#ifndef SUNHWAN_STEP_H
#define SUNHWAN_STEP_H

#include "pointwise.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

struct ForwardStep {
  Extent extent;
  float *keeps;   // [KEPT] in its first SUMS slots x K + h U + b; to become what backward will need
  float *states;  // [STATES] h, and c of an LSTM: the previous ones, to be replaced

  float *kept(int slot) const { return keeps + slot * extent.slot(); }
  float *state(int slot) const { return states + slot * extent.slot(); }
};

struct BackwardStep {
  Extent extent;
  const float *keeps;       // [KEPT] what forward kept
  const float *previous_h;  // h before the step
  float *d_states;  // [STATES] of the states after the step; to be replaced by what reaches those before it
                    // otherwise than through the sums
  float *d_sums;    // [SUMS] of the sums: written

  const float *kept(int slot) const { return keeps + slot * extent.slot(); }
  float *d_state(int slot) const { return d_states + slot * extent.slot(); }
  float *d_sum(int slot) const { return d_sums + slot * extent.slot(); }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
