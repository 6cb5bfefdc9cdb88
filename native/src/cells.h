// The cells: one timestep of each and, right under it, its gradient.
#ifndef SUNHWAN_CELLS_H
#define SUNHWAN_CELLS_H

#include "plan.h"
#include "step.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

// SimpleRNN
//
//     h' = activation(x K + h U + b)
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

// GRU
//
//     z  = recurrent_activation(x Kz + h Uz + bz)                 update: how much of h stays
//     r  = recurrent_activation(x Kr + h Ur + br)                 reset: how much of h the candidate sees
//     c  = activation(x Kh + bh + r * (h Uh + b'h))               candidate, reset after the product, or
//     c  = activation(x Kh + bh + (r * h) Uh)                     candidate, reset before it
//     h' = z * h + (1 - z) * c
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

// LSTM
//
//     i  = recurrent_activation(x Ki + h Ui + bi)                 input: how much of the candidate enters
//     f  = recurrent_activation(x Kf + h Uf + bf)                 forget: how much of c stays
//     g  = activation(x Kc + h Uc + bc)                           candidate
//     o  = recurrent_activation(x Ko + h Uo + bo)                 output: how much of c' shows
//     c' = f * c + i * g
//     h' = o * activation(c')
//
// Of h only o and c are kept: backward needs activation(c) anyway, and memory is what it waits for.
struct Lstm {
  static constexpr int GATES = 4, STATES = 2;
  enum Slot { I, F, G, O, C, KEPT, SUMS = 4 };
  static constexpr int H_SLOT[GATES] = {I, F, G, O};
  static constexpr int KEPT_H = -1, RESET_GATE = -1;
  static constexpr bool H_STAYS = false;

  template <class Activation, class RecurrentActivation>
  SUNHWAN_POINTWISE forward(const ForwardStep &s, Activation activation, RecurrentActivation recurrent_activation) {
    const long slot = s.extent.slot();
    float *kept = s.keeps, *state_h = s.state(0), *state_c = s.state(1);
    s.extent.each_chain([=](auto at) { store(kept + I * slot, at, recurrent_activation(load(kept + I * slot, at))); });
    s.extent.each_chain([=](auto at) { store(kept + F * slot, at, recurrent_activation(load(kept + F * slot, at))); });
    s.extent.each_chain([=](auto at) { store(kept + G * slot, at, activation(load(kept + G * slot, at))); });
    s.extent.each_chain([=](auto at) { store(kept + O * slot, at, recurrent_activation(load(kept + O * slot, at))); });
    s.extent.each([=](auto at) {
      auto c = load(kept + F * slot, at) * load(state_c, at) + load(kept + I * slot, at) * load(kept + G * slot, at);
      store(state_c, at, c);
      store(kept + C * slot, at, c);
    });
    s.extent.each_chain([=](auto at) { store(state_h, at, load(kept + O * slot, at) * activation(load(state_c, at))); });
  }

  // keeps_before: what the step before kept, NULL at the first one, where h and c are the initial states.
  // shown: activation(c'), which the step after has left; here it leaves activation(c). h: o activation(c).
  template <class Activation, class RecurrentActivation>
  SUNHWAN_POINTWISE backward(const BackwardStep &s, Activation activation, RecurrentActivation recurrent_activation,
                       const float *keeps_before, const float *initial_c, float *shown, float *h) {
    const long slot = s.extent.slot();
    const float *previous_c = keeps_before ? keeps_before + C * slot : initial_c, *kept = s.keeps;
    float *d_sum = s.d_sums, *d_h_ = s.d_state(0), *d_c_ = s.d_state(1);
    s.extent.each([=](auto at) {
      auto i = load(kept + I * slot, at), f = load(kept + F * slot, at), g = load(kept + G * slot, at);
      auto o = load(kept + O * slot, at), shown_c = load(shown, at), d_h = load(d_h_, at);
      auto d_c = load(d_c_, at) + d_h * o * activation.slope(shown_c);
      store(d_sum + I * slot, at, d_c * g * recurrent_activation.slope(i));
      store(d_sum + F * slot, at, d_c * load(previous_c, at) * recurrent_activation.slope(f));
      store(d_sum + G * slot, at, d_c * i * activation.slope(g));
      store(d_sum + O * slot, at, d_h * shown_c * recurrent_activation.slope(o));
      store(d_c_, at, d_c * f);
    });
    if (keeps_before)
      s.extent.each_chain([=](auto at) {
        auto shown_c = activation(load(previous_c, at));
        store(shown, at, shown_c);
        store(h, at, load(keeps_before + O * slot, at) * shown_c);
      });
  }

  // shown: activation(c') of one vector, for a row that has no step after.
  template <class Activation>
  SUNHWAN_POINTWISE show(const BackwardStep &s, Activation activation, At<1> at, float *shown) {
    store(shown, at, activation(load(s.kept(C), at)));
  }
};

// Calls f with the type of a call's cell.
template <class F>
auto with_cell(const sunhwan_recurrence &call, F f) {
  if (call.cell == SUNHWAN_LSTM) return f(Lstm{});
  if (call.cell == SUNHWAN_SIMPLE_RNN) return f(SimpleRnn{});
  return call.reset_after ? f(GruResetAfter{}) : f(GruResetBefore{});
}

template <class Cell>
constexpr bool is_as_declared(int cell) {
  return Cell::GATES == CELLS[cell].gates && Cell::STATES == CELLS[cell].states && Cell::KEPT <= CELLS[cell].kept;
}
static_assert(is_as_declared<SimpleRnn>(SUNHWAN_SIMPLE_RNN) && is_as_declared<GruResetAfter>(SUNHWAN_GRU) &&
              is_as_declared<GruResetBefore>(SUNHWAN_GRU) && is_as_declared<Lstm>(SUNHWAN_LSTM));

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
