// Conformal prediction intervals of a stream. What is computed, and why, is in src/sunhwan/evaluation/intervals.py, whose
// `run` says the same of a whole part, to the last bit: so this file is compiled without fused multiply-adds.

#include "intervals.h"

#include <math.h>
#include <string.h>

#include <algorithm>

namespace sunhwan {

namespace {

// Takes one `gone` out of `count` ascending numbers and puts `come` in, behind those that equal it.
void replace(double *ordered, int64_t count, double gone, double come) {
  const int64_t from = std::min<int64_t>(std::lower_bound(ordered, ordered + count, gone) - ordered, count - 1);
  int64_t to = std::upper_bound(ordered, ordered + count, come) - ordered;
  if (to > from) {
    to--;
    memmove(ordered + from, ordered + from + 1, (to - from) * sizeof(double));
  } else {
    memmove(ordered + to + 1, ordered + to, (from - to) * sizeof(double));
  }
  ordered[to] = come;
}

void insert(double *ordered, int64_t count, double come) {
  double *to = std::upper_bound(ordered, ordered + count, come);
  memmove(to + 1, to, (ordered + count - to) * sizeof(double));
  *to = come;
}

// A step learns from a score, and whether it was beyond the margin that was said.
void learn(const sunhwan_intervals &c, int64_t step, double score, double said) {
  const double moved = c.miss_rates[step] + c.rates[step] * (c.target - (score > said ? 1.0 : 0.0));
  c.miss_rates[step] = std::min(moved, c.ceiling);

  double *ordered = c.ordered + step * c.recent, *latest = c.latest + step * c.recent;
  int64_t &place = c.place[step], &count = c.counts[step];
  if (count == c.recent)
    replace(ordered, count, latest[place], score);
  else
    insert(ordered, count++, score);
  latest[place] = score;
  place = (place + 1) % c.recent;

  // A hair less, so that 10 * 0.9 is 9 however it is rounded.
  const double rank = ceil((double)(count + 1) * (1 - c.miss_rates[step]) - 1e-9);
  c.margins[step] = ordered[(int64_t)std::clamp(rank, 1.0, (double)count) - 1];
}

double larger(double a, double b) { return a != a || a > b ? a : b; }  // NaN where one of the two is

}  // namespace

void update(sunhwan_intervals &c, double truth) {
  c.time++;
  if (!c.said) return;
  const int64_t slice = c.room * c.steps, now = c.time % c.room;
  if (c.made[now]) {
    for (int part = 0; part < 3; part++) std::fill_n(c.said + part * slice + now * c.steps, c.steps, NAN);
    c.made[now] = 0;
  }
  if (truth != truth) return;
  for (int64_t step = 0; step < c.steps; step++) {
    const int64_t then = c.time - c.ahead[step];
    if (then < 0) break;  // nothing was said before the beginning
    const double *said = c.said + (then % c.room) * c.steps + step;
    // Zeros of one sign, as where whole arrays are computed.
    const double score = larger(said[0] - truth, truth - said[slice]) + 0.0;
    if (score == score) learn(c, step, score, said[2 * slice]);
  }
}

void issue(const sunhwan_intervals &c, double *lower, double *upper) {
  const int64_t slice = c.room * c.steps, now = c.time % c.room;
  double *said = c.said + now * c.steps;
  for (int64_t step = 0; step < c.steps; step++) {
    double low = lower[step] + 0.0, high = upper[step] + 0.0;
    if (low != low) high = low;
    if (high != high) low = high;
    if (high < low) std::swap(low, high);
    // At least the middle of the bounds is left.
    const double margin = larger((low - high) / 2, c.margins[step]);
    said[step] = low;
    said[step + slice] = high;
    said[step + 2 * slice] = margin;
    // Rounding must not cross those that meet in the middle.
    low -= margin;
    high += margin;
    lower[step] = high < low ? high : low;
    upper[step] = high < low ? low : high;
  }
  c.made[now] = 1;
}

}  // namespace sunhwan
