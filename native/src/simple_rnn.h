// SimpleRNN: one timestep and, right under it, its gradient.
//
//     h' = activation(x K + h U + b)
#ifndef SUNHWAN_SIMPLE_RNN_H
#define SUNHWAN_SIMPLE_RNN_H

#include "step.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

struct SimpleRnn {
  static constexpr int GATES = 1, STATES = 1;
  // Slots of what is kept of a step; in the first SUMS of them its sums arrive.
  enum Slot { H, KEPT, SUMS = 1 };
  static constexpr int H_SLOT[GATES] = {H};  // for each gate the slot of its product with h
  static constexpr int KEPT_H = H, RESET_GATE = -1;
  static constexpr bool H_STAYS = false;

  template <class Activation, class RecurrentActivation>
  SUNHWAN_POINTWISE forward(const ForwardStep &s, Activation activation, RecurrentActivation) {
    s.extent.each_chain([=, state = s.state(0), kept = s.kept(H)](auto i) {
      auto h = activation(load(kept, i));
      store(state, i, h);
      store(kept, i, h);
    });
  }

  template <class Activation, class RecurrentActivation>
  SUNHWAN_POINTWISE backward(const BackwardStep &s, Activation activation, RecurrentActivation) {
    s.extent.each([=, d_h = s.d_state(0), d_sum = s.d_sum(H), kept = s.kept(H)](auto i) {
      store(d_sum, i, load(d_h, i) * activation.slope(load(kept, i)));
    });
  }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
