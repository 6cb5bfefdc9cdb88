// LSTM: one timestep and, right under it, its gradient.
//
//     i  = recurrent_activation(x Ki + h Ui + bi)                 input: how much of the candidate enters
//     f  = recurrent_activation(x Kf + h Uf + bf)                 forget: how much of c stays
//     g  = activation(x Kc + h Uc + bc)                           candidate
//     o  = recurrent_activation(x Ko + h Uo + bo)                 output: how much of c' shows
//     c' = f * c + i * g
//     h' = o * activation(c')
//
// Of h only o and c are kept: backward needs activation(c) anyway, and memory is what it waits for.
#ifndef SUNHWAN_LSTM_H
#define SUNHWAN_LSTM_H

#include "step.h"

namespace sunhwan {
namespace SUNHWAN_VARIANT {

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

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
