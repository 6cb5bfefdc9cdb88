// The C ABI: every argument is checked here, once, and the instruction set is chosen.

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <system_error>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "intervals.h"
#include "kernels.h"
#include "memory.h"
#include "plan.h"
#include "pool.h"
#include "sunhwan.h"

using namespace sunhwan;

namespace {

thread_local char message[512];

__attribute__((format(printf, 2, 3))) int failed(int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return status;
}

int succeeded() {
  message[0] = '\0';
  return SUNHWAN_OK;
}

// ---- Instruction sets ----

#if defined(__x86_64__)
// Exactly what CMakeLists.txt compiles each variant for. Asked of the processor itself: with the runtime that Zig links,
// every __builtin_cpu_supports is false, so its wheels ran the portable kernels everywhere.
struct Processor {
  unsigned features = 0, more = 0; // of CPUID's leaves 1 (ecx) and 7 (ebx)
  unsigned saved = 0;              // which registers the system keeps for each thread
  Processor() {
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d)) features = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) more = b;
    if (features & bit_OSXSAVE) __asm__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
  }
};
const Processor processor;
bool all(unsigned bits, unsigned of) { return (of & bits) == bits; }

bool has_avx2() {
  return all(0x06, processor.saved) && all(bit_AVX | bit_FMA, processor.features) && all(bit_AVX2, processor.more);
}
bool has_avx512() {
  return has_avx2() && all(0xe6, processor.saved) &&
         all(bit_AVX512F | bit_AVX512VL | bit_AVX512BW | bit_AVX512DQ, processor.more);
}
#endif
bool always() { return true; }

struct Variant {
  const Kernels *kernels;
  bool (*available)();
};

const Variant variants[] = {  // best first
#if defined(__x86_64__)
    {&avx512::kernels, has_avx512},
    {&avx2::kernels, has_avx2},
#endif
    {&portable::kernels, always},
};

std::atomic<const Kernels *> chosen{nullptr};

// NULL and a message if the name is unknown or the processor does not support it.
const Kernels *variant(const char *name) {
  for (const Variant &v : variants)
    if (strcmp(name, v.kernels->name) == 0) {
      if (v.available()) return v.kernels;
      failed(SUNHWAN_INVALID_ARGUMENT, "this processor does not support %s; choose another instruction set (portable runs anywhere)",
             name);
      return nullptr;
    }
  char names[64] = "";
  for (const Variant &v : variants) {
    if (names[0]) strcat(names, ", ");
    strcat(names, v.kernels->name);
  }
  failed(SUNHWAN_INVALID_ARGUMENT, "the instruction set is \"%s\" (SUNHWAN_ISA), expected one of %s", name, names);
  return nullptr;
}

const Kernels *kernels() {
  const Kernels *k = chosen.load();
  if (k) return k;
  if (const char *name = getenv("SUNHWAN_ISA"); name && *name) {
    k = variant(name);
  } else {
    for (const Variant &v : variants)
      if (!k && v.available()) k = v.kernels;
  }
  // Unless another thread was faster, perhaps through sunhwan_set_isa.
  const Kernels *none = nullptr;
  return chosen.compare_exchange_strong(none, k) ? k : none;
}

// Calls f and turns exceptions into a status.
template <class F>
int guarded(F f) {
  try {
    return f();
  } catch (const std::bad_alloc &) {
    return failed(SUNHWAN_OUT_OF_MEMORY, "not enough memory for the call itself");
  } catch (const std::system_error &error) {
    return failed(SUNHWAN_OUT_OF_MEMORY, "the system could not create a thread or a lock: %s", error.what());
  }
}

// ---- Arguments ----

// Keeps sizes and their products far below the limits of 64 bits and of pointers.
constexpr double MOST_FLOATS = 1e14;

int check_version(uint32_t version) {
  if (version == SUNHWAN_ABI_VERSION) return SUNHWAN_OK;
  return failed(SUNHWAN_INVALID_ARGUMENT, "abi_version is %u, but this library has %d: caller and library belong to different versions, install them together",
                version, SUNHWAN_ABI_VERSION);
}

int check_sizes(const sunhwan_recurrence &c) {
  if (int status = check_version(c.abi_version)) return status;
  if (!is_cell(c.cell)) {
    std::string known;
    for (int cell = 0; is_cell(cell); cell++) {
      if (cell) known += is_cell(cell + 1) ? ", " : " or ";
      known += std::to_string(cell) + " (" + CELLS[cell].name + ")";
    }
    return failed(SUNHWAN_INVALID_ARGUMENT, "cell is %d, expected %s", c.cell, known.c_str());
  }
  const struct { const char *name; int32_t value; } activations[] = {
      {"activation", c.activation}, {"recurrent_activation", c.recurrent_activation}};
  for (auto &a : activations)
    if (a.value < SUNHWAN_LINEAR || a.value > SUNHWAN_HARD_SIGMOID)
      return failed(SUNHWAN_INVALID_ARGUMENT, "%s is %d, expected 0 (linear) to 4 (hard_sigmoid)", a.name, a.value);
  const struct { const char *name; int32_t value; } flags[] = {
      {"reset_after", c.reset_after}, {"go_backwards", c.go_backwards}, {"return_sequences", c.return_sequences},
      {"zero_output_for_mask", c.zero_output_for_mask}, {"zero_before_data", c.zero_before_data}};
  for (auto &f : flags)
    if (f.value != 0 && f.value != 1) return failed(SUNHWAN_INVALID_ARGUMENT, "%s is %d, expected 0 or 1", f.name, f.value);
  const struct { const char *name; int32_t value; } masks[] = {
      {"dropout_mask_gates", c.dropout_mask_gates}, {"recurrent_dropout_mask_gates", c.recurrent_dropout_mask_gates}};
  for (auto &m : masks)
    if (m.value != 0 && m.value != 1 && m.value != gates_of(c.cell))
      return failed(SUNHWAN_INVALID_ARGUMENT, "%s is %d, expected 0, 1 or one for each of the cell's %d gates", m.name,
                    m.value, gates_of(c.cell));
  const struct { const char *name; int64_t value, least; } sizes[] = {
      {"batch", c.batch, 0}, {"timesteps", c.timesteps, 1}, {"features", c.features, 1}, {"units", c.units, 1}};
  for (auto &s : sizes)
    if (s.value < s.least || s.value > 0x7fffffff)
      return failed(SUNHWAN_INVALID_ARGUMENT, "%s is %lld, expected %lld to 2147483647", s.name, (long long)s.value,
                    (long long)s.least);
  double batch = c.batch + 64.0, time = c.timesteps, units = c.units + 16.0, features = c.features + 16.0;
  if (batch * time * (6 * units + features) > MOST_FLOATS || 8 * (units + features) * units > MOST_FLOATS)
    return failed(SUNHWAN_OUT_OF_MEMORY, "batch %lld, timesteps %lld, features %lld and units %lld need more memory than any machine has",
                  (long long)c.batch, (long long)c.timesteps, (long long)c.features, (long long)c.units);
  return SUNHWAN_OK;
}

int check_reads(const sunhwan_recurrence &c, bool rows) {
  const struct { const char *name; const void *pointer; } needed[] = {
      {"kernel", c.kernel}, {"recurrent_kernel", c.recurrent_kernel}, {"inputs", rows ? c.inputs : c.kernel}};
  for (auto &n : needed)
    if (!n.pointer) return failed(SUNHWAN_INVALID_ARGUMENT, "%s is NULL, expected an array", n.name);
  const struct { const char *name; const float *pointer; int32_t gates; } masks[] = {
      {"dropout_mask", c.dropout_mask, c.dropout_mask_gates},
      {"recurrent_dropout_mask", c.recurrent_dropout_mask, c.recurrent_dropout_mask_gates}};
  for (auto &m : masks)
    if (rows && (m.pointer != nullptr) != (m.gates > 0))
      return failed(SUNHWAN_INVALID_ARGUMENT, "%s is %s, but %s_gates is %d", m.name, m.pointer ? "given" : "NULL", m.name, m.gates);
  return SUNHWAN_OK;
}

int check_intervals(const sunhwan_intervals *c) {
  if (!c) return failed(SUNHWAN_INVALID_ARGUMENT, "intervals is NULL");
  if (int status = check_version(c->abi_version)) return status;
  const struct { const char *name; int64_t value, least; } sizes[] = {
      {"steps", c->steps, 1}, {"recent", c->recent, 1}, {"room", c->room, 2}};
  for (auto &s : sizes)
    if (s.value < s.least || s.value > 0x7fffffff)
      return failed(SUNHWAN_INVALID_ARGUMENT, "%s is %lld, expected %lld to 2147483647", s.name, (long long)s.value,
                    (long long)s.least);
  if (c->time < 0) return failed(SUNHWAN_INVALID_ARGUMENT, "time is %lld, expected 0 or more", (long long)c->time);
  const struct { const char *name; double value; } shares[] = {{"target", c->target}, {"ceiling", c->ceiling}};
  for (auto &s : shares)
    if (!(s.value > 0 && s.value < 1))
      return failed(SUNHWAN_INVALID_ARGUMENT, "%s is %g, expected a number above 0 and below 1", s.name, s.value);
  const struct { const char *name; const void *pointer; } needed[] = {
      {"ahead", c->ahead}, {"rates", c->rates}, {"miss_rates", c->miss_rates}, {"margins", c->margins},
      {"latest", c->latest}, {"ordered", c->ordered}, {"place", c->place}, {"counts", c->counts}, {"made", c->made}};
  for (auto &n : needed)
    if (!n.pointer) return failed(SUNHWAN_INVALID_ARGUMENT, "%s is NULL, expected an array", n.name);
  for (int64_t i = 0; i < c->steps; i++) {
    const int64_t least = i ? c->ahead[i - 1] + 1 : 1;
    if (c->ahead[i] < least || c->ahead[i] >= c->room)
      return failed(SUNHWAN_INVALID_ARGUMENT, "ahead[%lld] is %lld, expected %lld to %lld, since they rise and room is %lld",
                    (long long)i, (long long)c->ahead[i], (long long)least, (long long)c->room - 1, (long long)c->room);
    if (c->counts[i] < 0 || c->counts[i] > c->recent || c->place[i] < 0 || c->place[i] >= c->recent)
      return failed(SUNHWAN_INVALID_ARGUMENT, "step %lld has counts %lld and place %lld, expected counts of at most recent = %lld and a smaller place",
                    (long long)i, (long long)c->counts[i], (long long)c->place[i], (long long)c->recent);
  }
  return SUNHWAN_OK;
}

std::atomic<int64_t> recomputed{0};

int out_of_memory(const sunhwan_recurrence &c) {
  return failed(SUNHWAN_OUT_OF_MEMORY, "not enough memory for the workspace of batch %lld, timesteps %lld, features %lld, units %lld; use smaller batches",
                (long long)c.batch, (long long)c.timesteps, (long long)c.features, (long long)c.units);
}

int threads_for(const sunhwan_recurrence &c) { return (int)std::min<double>(num_threads(), worth_of_threads(c)); }

size_t saved_bytes(const sunhwan_recurrence &c) { return c.batch * sunhwan_saved_per_sequence(&c) * sizeof(float); }

HeldCall held_call(const sunhwan_recurrence &c, const Kernels *k) {
  HeldCall call;
  memset(&call, 0, sizeof call);  // its padding too: it is compared as bytes
  call.kernels = k;
  const int64_t sizes[] = {c.batch, c.timesteps, c.features, c.units};
  const int32_t options[] = {c.cell, c.reset_after, c.mask != nullptr};
  memcpy(call.sizes, sizes, sizeof sizes);
  memcpy(call.options, options, sizeof options);
  return call;
}

int run_forward(const sunhwan_recurrence &c, const Kernels &k) {
  if (int status = check_sizes(c)) return status;
  if (c.batch == 0) return succeeded();
  if (int status = check_reads(c, true)) return status;
  prefer_large_pages(c.saved, c.saved ? saved_bytes(c) : 0);
  if (c.return_sequences) prefer_large_pages(c.output, c.batch * c.timesteps * c.units * sizeof(float));
  FlushDenormals flush;
  return k.forward(c, threads_for(c)) ? succeeded() : out_of_memory(c);
}

int run_backward(const sunhwan_recurrence &c, const sunhwan_gradients &g, const Kernels &k) {
  if (int status = check_sizes(c)) return status;
  if (g.d_bias && !c.bias) return failed(SUNHWAN_INVALID_ARGUMENT, "d_bias is given, but bias is NULL");
  if (c.batch == 0) {  // sums over no rows
    int64_t columns = gates_of(c.cell) * c.units;
    if (g.d_kernel) memset(g.d_kernel, 0, c.features * columns * sizeof(float));
    if (g.d_recurrent_kernel) memset(g.d_recurrent_kernel, 0, c.units * columns * sizeof(float));
    if (g.d_bias) memset(g.d_bias, 0, columns * (c.cell == SUNHWAN_GRU && c.reset_after ? 2 : 1) * sizeof(float));
    return succeeded();
  }
  if (int status = check_reads(c, true)) return status;
  if (!c.saved) return failed(SUNHWAN_INVALID_ARGUMENT, "saved is NULL, expected the array that forward wrote");
  if (!g.d_inputs && !g.d_initial_state && !g.d_kernel && !g.d_recurrent_kernel && !g.d_bias) return succeeded();
  prefer_large_pages(g.d_inputs, c.batch * c.timesteps * c.features * sizeof(float));
  FlushDenormals flush;
  return k.backward(c, g, threads_for(c)) ? succeeded() : out_of_memory(c);
}

// Calls f with a copy of the call that saves into the library's own memory, and with that memory.
template <class F>
int with_own_saved(const sunhwan_recurrence &c, F f) {
  if (int status = check_sizes(c)) return status;
  auto memory = std::make_unique<Workspace>(saved_bytes(c));
  if (!memory->data) return out_of_memory(c);
  sunhwan_recurrence own = c;
  own.saved = reinterpret_cast<float *>(memory->data);
  return f(own, std::move(memory));
}

// Calls f with the kernels of the instruction set in use, the same throughout the call.
template <class F>
int with_kernels(F f) {
  const Kernels *k = kernels();
  return k ? guarded([&] { return f(*k); }) : SUNHWAN_INVALID_ARGUMENT;
}

}  // namespace

extern "C" {

int32_t sunhwan_abi_version(void) { return SUNHWAN_ABI_VERSION; }
const char *sunhwan_message(void) { return message; }

int64_t sunhwan_saved_per_sequence(const sunhwan_recurrence *c) {
  if (!c) return failed(SUNHWAN_INVALID_ARGUMENT, "recurrence is NULL"), -1;
  sunhwan_recurrence without_batch = *c;
  without_batch.batch = 0;
  if (check_sizes(without_batch)) return -1;
  succeeded();
  int kept = CELLS[c->cell].kept - (c->cell == SUNHWAN_GRU && !c->reset_after);
  return c->timesteps * kept * ((c->units + 15) / 16 * 16);
}

int sunhwan_forward(const sunhwan_recurrence *c) {
  if (!c) return failed(SUNHWAN_INVALID_ARGUMENT, "recurrence is NULL");
  return with_kernels([&](const Kernels &k) { return run_forward(*c, k); });
}

int sunhwan_backward(const sunhwan_recurrence *c, const sunhwan_gradients *g) {
  if (!c || !g) return failed(SUNHWAN_INVALID_ARGUMENT, "%s is NULL", c ? "gradients" : "recurrence");
  return with_kernels([&](const Kernels &k) { return run_backward(*c, *g, k); });
}

int sunhwan_forward_held(const sunhwan_recurrence *c, int64_t *ticket) {
  if (!c || !ticket) return failed(SUNHWAN_INVALID_ARGUMENT, "%s is NULL", c ? "ticket" : "recurrence");
  return with_kernels([&](const Kernels &k) {
    return with_own_saved(*c, [&](sunhwan_recurrence &own, std::unique_ptr<Workspace> memory) {
      if (int status = run_forward(own, k)) return status;
      *ticket = hold(std::move(memory), held_call(*c, &k));
      return succeeded();
    });
  });
}

int sunhwan_backward_held(const sunhwan_recurrence *c, int64_t ticket, const sunhwan_gradients *g) {
  if (!c || !g) return failed(SUNHWAN_INVALID_ARGUMENT, "%s is NULL", c ? "gradients" : "recurrence");
  return with_kernels([&](const Kernels &k) {
    if (int status = check_sizes(*c)) return status;
    if (std::unique_ptr<Workspace> held = take_held(ticket, held_call(*c, &k))) {
      sunhwan_recurrence own = *c;
      own.saved = reinterpret_cast<float *>(held->data);
      return run_backward(own, *g, k);
    }
    recomputed++;
    return with_own_saved(*c, [&](sunhwan_recurrence &own, std::unique_ptr<Workspace>) {
      own.output = own.states = nullptr;
      if (int status = run_forward(own, k)) return status;
      return run_backward(own, *g, k);
    });
  });
}

int64_t sunhwan_recomputed(void) { return recomputed; }

int sunhwan_stepper_new(const sunhwan_recurrence *c, sunhwan_stepper **stepper) {
  if (stepper) *stepper = nullptr;
  if (!c || !stepper) return failed(SUNHWAN_INVALID_ARGUMENT, "%s is NULL", c ? "stepper" : "recurrence");
  if (int status = check_sizes(*c)) return status;
  if (int status = check_reads(*c, false)) return status;
  return with_kernels([&](const Kernels &k) {
    *stepper = reinterpret_cast<sunhwan_stepper *>(k.new_stepper(*c));
    return *stepper ? succeeded() : out_of_memory(*c);
  });
}

void sunhwan_stepper_free(sunhwan_stepper *stepper) { delete reinterpret_cast<Stepper *>(stepper); }

int sunhwan_stepper_step(const sunhwan_stepper *stepper, int64_t batch, const float *inputs, float *states) {
  if (!stepper) return failed(SUNHWAN_INVALID_ARGUMENT, "stepper is NULL");
  if (batch < 0 || batch > 0x7fffffff) return failed(SUNHWAN_INVALID_ARGUMENT, "batch is %lld, expected 0 to 2147483647", (long long)batch);
  if (batch == 0) return succeeded();
  if (!inputs || !states) return failed(SUNHWAN_INVALID_ARGUMENT, "%s is NULL, expected an array", inputs ? "states" : "inputs");
  return guarded([&] {
    FlushDenormals flush;
    if (!reinterpret_cast<const Stepper *>(stepper)->step(batch, inputs, states))
      return failed(SUNHWAN_OUT_OF_MEMORY, "not enough memory for a step of batch %lld", (long long)batch);
    return succeeded();
  });
}

int sunhwan_intervals_update(sunhwan_intervals *c, double truth) {
  if (int status = check_intervals(c)) return status;
  if (isinf(truth)) return failed(SUNHWAN_INVALID_ARGUMENT, "truth is %g, expected one finite number, or NaN", truth);
  update(*c, truth);
  return succeeded();
}

int sunhwan_intervals_issue(sunhwan_intervals *c, double *lower, double *upper) {
  if (int status = check_intervals(c)) return status;
  if (!c->said || !lower || !upper)
    return failed(SUNHWAN_INVALID_ARGUMENT, "%s is NULL, expected an array", !c->said ? "said" : lower ? "upper" : "lower");
  for (int64_t i = 0; i < c->steps; i++)
    if (isinf(lower[i]) || isinf(upper[i]))
      return failed(SUNHWAN_INVALID_ARGUMENT, "lower or upper holds infinite values, expected finite bounds, or NaN for none");
  issue(*c, lower, upper);
  return succeeded();
}

const char *sunhwan_isa(void) {
  const Kernels *k = kernels();
  if (k) succeeded();
  return k ? k->name : nullptr;
}

int sunhwan_set_isa(const char *name) {
  if (!name) return failed(SUNHWAN_INVALID_ARGUMENT, "name is NULL");
  const Kernels *k = variant(name);
  if (!k) return SUNHWAN_INVALID_ARGUMENT;
  chosen = k;
  return succeeded();
}

int32_t sunhwan_num_threads(void) { return num_threads(); }

int sunhwan_set_num_threads(int32_t threads) {
  if (threads < 1 || threads > 1024) return failed(SUNHWAN_INVALID_ARGUMENT, "threads is %d, expected 1 to 1024", threads);
  set_num_threads(threads);
  return succeeded();
}

int64_t sunhwan_memory_kept(void) {
  int64_t bytes = 0;
  guarded([&] { return bytes = memory_kept(), succeeded(); });
  return bytes;
}

void sunhwan_release_memory(void) {
  guarded([] { return release_memory(), succeeded(); });
}

double sunhwan_peak_gflops(int32_t threads, double seconds) {
  const Kernels *k = kernels();
  if (!k) return 0;
  if (threads < 1 || threads > 1024) return failed(SUNHWAN_INVALID_ARGUMENT, "threads is %d, expected 1 to 1024", threads), 0;
  using Clock = std::chrono::steady_clock;
  auto elapsed = [](Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); };
  // Each thread counts what it does until the time is over.
  struct Work {
    const Kernels *kernels;
    Clock::time_point begin;
    double seconds;
    std::atomic<double> operations{0};
  } work;
  work.kernels = k;
  work.begin = Clock::now();
  work.seconds = seconds;
  if (guarded([&] {
      parallel(
          threads,
          [](void *context, long, int) {
            Work &w = *static_cast<Work *>(context);
            double operations = 0;
            do operations += w.kernels->multiply_adds(20000);
            while (std::chrono::duration<double>(Clock::now() - w.begin).count() < w.seconds);
            for (double sum = w.operations; !w.operations.compare_exchange_weak(sum, sum + operations);) {
            }
          },
          &work, threads);
        return succeeded();
      }))
    return 0;
  return work.operations / elapsed(work.begin) / 1e9;
}

}  // extern "C"
