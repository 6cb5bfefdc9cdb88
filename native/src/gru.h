// GRU: one timestep and, right under it, its gradient.
//
//     z  = recurrent_activation(x Kz + h Uz + bz)                 update: how much of h stays
//     r  = recurrent_activation(x Kr + h Ur + br)                 reset: how much of h the candidate sees
//     c  = activation(x Kh + bh + r * (h Uh + b'h))               candidate, reset after the product, or
//     c  = activation(x Kh + bh + (r * h) Uh)                     candidate, reset before it
//     h' = z * h + (1 - z) * c
#ifndef SUNHWAN_GRU_H
#define SUNHWAN_GRU_H

#include "step.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

struct GruResetAfter {
  static constexpr int GATES = 3, STATES = 1;
  // The candidate's two products are kept apart, since r comes between them.
  enum Slot { Z, R, C, HC, H, KEPT, SUMS = 4 };  // HC: h Uh + b'h
  static constexpr int H_SLOT[GATES] = {Z, R, HC};
  static constexpr int KEPT_H = H, RESET_GATE = -1;
  static constexpr bool H_STAYS = true;  // whether h reaches h' otherwise than through the sums

  template <class Activation, class RecurrentActivation>
  SUNHWAN_POINTWISE forward(const ForwardStep &s, Activation activation, RecurrentActivation recurrent_activation) {
    const long slot = s.extent.slot();
    float *kept = s.keeps, *state = s.state(0);
    s.extent.each_chain([=](auto i) { store(kept + Z * slot, i, recurrent_activation(load(kept + Z * slot, i))); });
    s.extent.each_chain([=](auto i) {
      auto r = recurrent_activation(load(kept + R * slot, i)), hc = load(kept + HC * slot, i);
      store(kept + R * slot, i, r);
      store(kept + C * slot, i, load(kept + C * slot, i) + r * hc);
    });
    s.extent.each_chain([=](auto i) {
      auto c = activation(load(kept + C * slot, i));
      auto h = c + load(kept + Z * slot, i) * (load(state, i) - c);
      store(kept + C * slot, i, c);
      store(kept + H * slot, i, h);
      store(state, i, h);
    });
  }

  template <class Activation, class RecurrentActivation>
  SUNHWAN_POINTWISE backward(const BackwardStep &s, Activation activation, RecurrentActivation recurrent_activation) {
    const long slot = s.extent.slot();
    s.extent.each([=, d_state = s.d_state(0), d_sum = s.d_sums, kept = s.keeps, previous_h = s.previous_h](auto i) {
      auto z = load(kept + Z * slot, i), r = load(kept + R * slot, i), c = load(kept + C * slot, i);
      auto d_h = load(d_state, i), d_stays = d_h * z;
      auto d_c = (d_h - d_stays) * activation.slope(c);
      store(d_state, i, d_stays);
      store(d_sum + Z * slot, i, d_h * (load(previous_h, i) - c) * recurrent_activation.slope(z));
      store(d_sum + R * slot, i, d_c * load(kept + HC * slot, i) * recurrent_activation.slope(r));
      store(d_sum + C * slot, i, d_c);
      store(d_sum + HC * slot, i, d_c * r);
    });
  }
};

struct GruResetBefore {
  static constexpr int GATES = 3, STATES = 1;
  enum Slot { Z, R, C, H, KEPT, SUMS = 3 };
  static constexpr int H_SLOT[GATES] = {Z, R, C};
  // The gate whose product with h waits for the reset: it is made after `reset`, of r * h in place of h.
  static constexpr int KEPT_H = H, RESET_GATE = 2;
  static constexpr bool H_STAYS = true;

  // reset_h: what the reset gate lets through of seen_h, which is h after its dropout mask. May be the same array.
  template <class RecurrentActivation>
  SUNHWAN_POINTWISE reset(const ForwardStep &s, RecurrentActivation recurrent_activation, const float *seen_h,
                          float *reset_h) {
    float *kept = s.kept(R);
    s.extent.each_chain([=](auto i) {
      auto r = recurrent_activation(load(kept, i));
      store(kept, i, r);
      store(reset_h, i, load(seen_h, i) * r);
    });
  }

  template <class Activation, class RecurrentActivation>
  SUNHWAN_POINTWISE forward(const ForwardStep &s, Activation activation, RecurrentActivation recurrent_activation) {
    const long slot = s.extent.slot();
    float *kept = s.keeps, *state = s.state(0);
    s.extent.each_chain([=](auto i) { store(kept + Z * slot, i, recurrent_activation(load(kept + Z * slot, i))); });
    s.extent.each_chain([=](auto i) {
      auto c = activation(load(kept + C * slot, i));
      auto h = c + load(kept + Z * slot, i) * (load(state, i) - c);
      store(kept + C * slot, i, c);
      store(kept + H * slot, i, h);
      store(state, i, h);
    });
  }

  // All but the reset gate, which waits for the candidate's product with Uh^T, the gradient of r * h.
  template <class Activation, class RecurrentActivation>
  SUNHWAN_POINTWISE backward(const BackwardStep &s, Activation activation, RecurrentActivation recurrent_activation) {
    const long slot = s.extent.slot();
    s.extent.each([=, d_state = s.d_state(0), d_sum = s.d_sums, kept = s.keeps, previous_h = s.previous_h](auto i) {
      auto z = load(kept + Z * slot, i), c = load(kept + C * slot, i);
      auto d_h = load(d_state, i), d_stays = d_h * z;
      store(d_state, i, d_stays);
      store(d_sum + Z * slot, i, d_h * (load(previous_h, i) - c) * recurrent_activation.slope(z));
      store(d_sum + C * slot, i, (d_h - d_stays) * activation.slope(c));
    });
  }

  // seen_h, reset_h: as in `reset`. d_seen: the gradient of reset_h; then that of seen_h.
  template <class RecurrentActivation>
  SUNHWAN_POINTWISE reset_backward(const BackwardStep &s, RecurrentActivation recurrent_activation, const float *seen_h,
                                   float *reset_h, float *d_seen) {
    s.extent.each([=, kept = s.kept(R), d_sum = s.d_sum(R)](auto i) {
      auto r = load(kept, i), h = load(seen_h, i), d = load(d_seen, i);
      store(d_sum, i, d * h * recurrent_activation.slope(r));
      store(d_seen, i, d * r);
      store(reset_h, i, h * r);
    });
  }
};

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
