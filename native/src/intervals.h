// Conformal prediction intervals of a stream, one observation after the other; see sunhwan_intervals in sunhwan.h.
#ifndef SUNHWAN_INTERVALS_H
#define SUNHWAN_INTERVALS_H

#include "sunhwan.h"

namespace sunhwan {

void update(sunhwan_intervals &intervals, double truth);
void issue(const sunhwan_intervals &intervals, double *lower, double *upper);

}  // namespace sunhwan

#endif
