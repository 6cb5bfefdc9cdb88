// One vector of floats and what is done with it, in the vector extensions of GCC and Clang.
//
// Every instruction set compiles this anew, in a namespace of its own (SUNHWAN_VARIANT). Code here and in the
// headers that include it uses no inline function of the standard library: the linker keeps one copy of such a
// function for all variants, and a processor without AVX-512 may be given the one compiled for it.
#ifndef SUNHWAN_SIMD_H
#define SUNHWAN_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define SUNHWAN_INLINE static inline __attribute__((always_inline))
#define SUNHWAN_INLINE_METHOD inline __attribute__((always_inline))
#define SUNHWAN_INLINE_LAMBDA __attribute__((always_inline))

namespace sunhwan {
namespace SUNHWAN_VARIANT {

// Lanes of a vector; the rows (ROWS) and vectors (VECTORS) of the largest block of sums held in registers, 24 of 32 or
// 12 of 16, which leaves room for the operands, and those of a weight gradient's, whose rows must divide the lanes;
// and how many vectors go through a long chain of
// operations side by side (CHAINS), since the processor looks only some hundred operations ahead for work.
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 8, VECTORS = 3, GRADIENT_ROWS = 8, GRADIENT_VECTORS = 3, CHAINS = 4;
#elif defined(__AVX2__)
// Two vectors, not three, since units are often 16, 32 or 64: that is two vectors, or four.
constexpr int LANES = 8, ROWS = 6, VECTORS = 2, GRADIENT_ROWS = 4, GRADIENT_VECTORS = 3, CHAINS = 2;
#elif defined(__aarch64__)
constexpr int LANES = 4, ROWS = 8, VECTORS = 3, GRADIENT_ROWS = 4, GRADIENT_VECTORS = 3, CHAINS = 2;
#else
constexpr int LANES = 4, ROWS = 4, VECTORS = 3, GRADIENT_ROWS = 4, GRADIENT_VECTORS = 3, CHAINS = 2;
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));
typedef Vec UnalignedVec __attribute__((aligned(4), may_alias));

SUNHWAN_INLINE Vec load(const float *p) { return *(const UnalignedVec *)p; }
SUNHWAN_INLINE void store(float *p, Vec v) { *(UnalignedVec *)p = v; }
SUNHWAN_INLINE Vec broadcast(float x) { return x - Vec{}; }

// Copies to memory that is not read again soon, past the caches: an ordinary store would first read every line that
// it writes to. Other threads see the copy after stream_fence().
#if defined(__AVX2__)
constexpr bool CAN_STREAM = true;
#else
constexpr bool CAN_STREAM = false;  // it would be one more copy
#endif
SUNHWAN_INLINE void stream(const float *from, float *to, long floats) {
#if defined(__AVX512F__)
  for (long i = 0; i < floats; i += LANES) _mm512_stream_ps(to + i, (__m512)load(from + i));
#elif defined(__AVX2__)
  for (long i = 0; i < floats; i += LANES) _mm256_stream_ps(to + i, (__m256)load(from + i));
#else
  memcpy(to, from, floats * sizeof(float));
#endif
}
SUNHWAN_INLINE void stream_fence() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

// The first `count` lanes; the others are zero. (Copied one by one they would be waited for: a vector cannot be loaded
// while its parts are on their way to memory.)
SUNHWAN_INLINE Vec load_some(const float *p, int count) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#elif defined(__AVX2__)
  static const int32_t taken[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return (Vec)_mm256_maskload_ps(p, _mm256_loadu_si256((const __m256i *)(taken + LANES - count)));
#else
  if (count == LANES) return load(p);
  float lanes[LANES] = {};
  for (int i = 0; i < count; i++) lanes[i] = p[i];
  return load(lanes);
#endif
}

SUNHWAN_INLINE void store_some(float *p, Vec v, int count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#else
  if (count == LANES) return store(p, v);
  float lanes[LANES];
  store(lanes, v);
  int i = 0;
  for (; i + 4 <= count; i += 4) memcpy(p + i, lanes + i, 16);
  for (; i < count; i++) p[i] = lanes[i];
#endif
}

SUNHWAN_INLINE float sum_of(Vec v) {  // by halves
  float lanes[LANES];
  store(lanes, v);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
}

// Lane l of the result: lane of<D, UPPER>(l) of a and b, which count as one after the other. The half of `a` and the half
// of `b` in which lanes have no D in their number change places with those that have.
template <int D, bool UPPER>
constexpr int swapped_lane(int l) {
  return UPPER ? (l & D ? LANES + l : l + D) : (l & D ? LANES + l - D : l);
}
template <int D, bool UPPER>
SUNHWAN_INLINE Vec swapped(Vec a, Vec b) {
#define L(l) swapped_lane<D, UPPER>(l)
#if defined(__clang__)
#define SUNHWAN_SHUFFLE(...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SUNHWAN_SHUFFLE(...) __builtin_shuffle(a, b, Ints{__VA_ARGS__})
#endif
  if constexpr (LANES == 16)
    return SUNHWAN_SHUFFLE(L(0), L(1), L(2), L(3), L(4), L(5), L(6), L(7), L(8), L(9), L(10), L(11), L(12), L(13), L(14), L(15));
  else if constexpr (LANES == 8)
    return SUNHWAN_SHUFFLE(L(0), L(1), L(2), L(3), L(4), L(5), L(6), L(7));
  else
    return SUNHWAN_SHUFFLE(L(0), L(1), L(2), L(3));
#undef SUNHWAN_SHUFFLE
#undef L
}

// Lane j of vector i becomes lane i of vector j: squares within squares change places.
template <int D = LANES / 2>
SUNHWAN_INLINE void transpose(Vec (&v)[LANES]) {
  for (int i = 0; i < LANES; i++)
    if (!(i & D)) {
      const Vec a = v[i], b = v[i + D];
      v[i] = swapped<D, false>(a, b);
      v[i + D] = swapped<D, true>(a, b);
    }
  if constexpr (D > 1) transpose<D / 2>(v);
}

SUNHWAN_INLINE Vec clamp(Vec x, float low, float high) {  // NaN passes
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_min_ps((__mmask16)-1, _mm512_set1_ps(high),
                                  _mm512_maskz_max_ps((__mmask16)-1, _mm512_set1_ps(low), (__m512)x));
#elif defined(__AVX2__)
  return (Vec)_mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), (__m256)x));
#else
  x = x < low ? low - Vec{} : x;
  return x > high ? high - Vec{} : x;
#endif
}

// f(0) .. f(N - 1), with indices that the compiler knows: an array indexed by nothing else lives in registers. (A loop
// that is only unrolled later leaves it in memory: 15 % of a product's time.)
template <int I>
struct Index {
  SUNHWAN_INLINE_METHOD constexpr operator int() const { return I; }
};
template <int N, int I = 0, class F>
SUNHWAN_INLINE void times(F f) {
  if constexpr (I < N) {
    f(Index<I>());
    times<N, I + 1>(f);
  }
}

// N vectors that go through the same operations side by side.
template <int N>
struct Vecs {
  Vec v[N];

  template <class F>
  static SUNHWAN_INLINE_METHOD Vecs of(F f) {
    Vecs result;
    times<N>([&](auto n) SUNHWAN_INLINE_LAMBDA { result.v[n] = f(n); });
    return result;
  }
  friend SUNHWAN_INLINE_METHOD Vecs operator+(Vecs a, Vecs b) { return of([=](int n) { return a.v[n] + b.v[n]; }); }
  friend SUNHWAN_INLINE_METHOD Vecs operator-(Vecs a, Vecs b) { return of([=](int n) { return a.v[n] - b.v[n]; }); }
  friend SUNHWAN_INLINE_METHOD Vecs operator*(Vecs a, Vecs b) { return of([=](int n) { return a.v[n] * b.v[n]; }); }
  friend SUNHWAN_INLINE_METHOD Vecs operator/(Vecs a, Vecs b) { return of([=](int n) { return a.v[n] / b.v[n]; }); }
  friend SUNHWAN_INLINE_METHOD Vecs operator+(Vecs a, float b) { return of([=](int n) { return a.v[n] + b; }); }
  friend SUNHWAN_INLINE_METHOD Vecs operator-(Vecs a, float b) { return of([=](int n) { return a.v[n] - b; }); }
  friend SUNHWAN_INLINE_METHOD Vecs operator-(float a, Vecs b) { return of([=](int n) { return a - b.v[n]; }); }
  friend SUNHWAN_INLINE_METHOD Vecs operator/(float a, Vecs b) { return of([=](int n) { return a / b.v[n]; }); }
  friend SUNHWAN_INLINE_METHOD Vecs operator*(Vecs a, float b) { return of([=](int n) { return a.v[n] * b; }); }
};

// Where N vectors lie in an array, one after the other.
template <int N>
struct At {
  long offset;
};

template <int N>
SUNHWAN_INLINE Vecs<N> load(const float *p, At<N> at) {
  return Vecs<N>::of([=](int n) { return load(p + at.offset + n * LANES); });
}
template <int N>
SUNHWAN_INLINE void store(float *p, At<N> at, Vecs<N> x) {
  for (int n = 0; n < N; n++) store(p + at.offset + n * LANES, x.v[n]);
}

// f of each vector, where vectors are not worth interleaving.
template <int N, class F>
SUNHWAN_INLINE Vecs<N> each_vector(Vecs<N> x, F f) {
  return Vecs<N>::of([=](int n) { return f(x.v[n]); });
}

template <int N>
SUNHWAN_INLINE Vecs<N> clamp(Vecs<N> x, float low, float high) {
  return each_vector(x, [=](Vec v) { return clamp(v, low, high); });
}

// 2^x for |x| <= 126 as power * (1 + fraction), to about 1e-7; NaN stays NaN.
// x = n + f with n whole and |f| <= 1/2; power = 2^n; fraction = 2^f - 1 = f p(f), p a minimax polynomial (1e-8).
template <int N>
struct Exp2 {
  Vecs<N> power, fraction;
};

template <int N>
SUNHWAN_INLINE Exp2<N> exp2(Vecs<N> x) {
  const float shifter = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number, in the lowest bits
  Vecs<N> shifted = x + shifter;
  Vecs<N> f = x - (shifted - shifter);
  Vecs<N> p = f * 1.54035152e-4f + 1.33907356e-3f;
  p = p * f + 9.61823749e-3f;
  p = p * f + 5.55035743e-2f;
  p = p * f + 2.40226498e-1f;
  p = p * f + 6.93147188e-1f;
  return {each_vector(shifted, [](Vec v) { return (Vec)(((Ints)v << 23) + 0x3f800000); }), p * f};
}

template <int N>
SUNHWAN_INLINE Vecs<N> sigmoid(Vecs<N> x) {
  auto e = exp2(clamp(x * -1.44269504f, -126.0f, 126.0f));  // exp(-x)
  return 1.0f / (e.power * e.fraction + (e.power + 1.0f));
}

// With exp(2x) - 1 in a form that is exact also where x is near zero.
template <int N>
SUNHWAN_INLINE Vecs<N> tanh(Vecs<N> x) {
  auto e = exp2(clamp(x * 2.88539008f, -126.0f, 126.0f));  // exp(2x)
  Vecs<N> less_one = e.power * e.fraction + (e.power - 1.0f);
  return less_one / (less_one + 2.0f);
}

}  // namespace SUNHWAN_VARIANT
}  // namespace sunhwan

#endif
