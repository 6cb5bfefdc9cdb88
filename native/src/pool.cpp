#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#ifdef __linux__
#include <sched.h>
#endif
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace sunhwan {

namespace {

#if defined(__x86_64__)
constexpr int SPINS = 1000;
void pause() { _mm_pause(); }
#else
constexpr int SPINS = 0;
void pause() {}
#endif

struct Job {
  void (*work)(void *, long, int);
  void *context;
  long count;
  int most_workers;
  int workers = 1;              // that have joined, the caller among them; guarded by Pool::mutex
  std::atomic<int> working{0};  // of those, others than the caller that have not left
  std::atomic<long> next{0};

  void take_part(int worker) {
    for (long index; (index = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(context, index, worker);
  }
};

// Waits for some 30 microseconds at most, which is less than it takes to be woken, and says whether it was in vain.
template <class F>
bool spin_until(F f) {
  for (int i = 0; i < SPINS; i++) {
    if (f()) return false;
    pause();
  }
  return true;
}

struct Pool {
  std::mutex mutex;
  std::condition_variable job_posted, worker_left;
  std::vector<Job *> jobs;
  std::atomic<unsigned> posted{0};  // jobs so far
  int threads = 0;                  // started

  Job *open_job() {
    for (Job *job : jobs)
      if (job->workers < job->most_workers && job->next.load(std::memory_order_relaxed) < job->count) return job;
    return nullptr;
  }

  void serve() {
    FlushDenormals flush;
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      Job *job;
      while (!(job = open_job())) {
        const unsigned seen = posted;
        lock.unlock();
        const bool in_vain = spin_until([&] { return posted != seen; });
        lock.lock();
        if (in_vain && posted == seen) job_posted.wait(lock);
      }
      int worker = job->workers++;
      job->working++;
      lock.unlock();
      job->take_part(worker);
      lock.lock();
      if (--job->working == 0) worker_left.notify_all();  // and the job may be gone
    }
  }

  void start(int wanted) {  // with the mutex held
    for (; threads < wanted; threads++) {
      try {
        std::thread([this] { serve(); }).detach();
      } catch (const std::system_error &) {
        return;  // no more threads are to be had: the caller does the work
      }
    }
  }
};

// Never destroyed: its threads outlive every static object. A child after fork() has none of the threads and
// perhaps a locked mutex, so it gets a new pool.
std::atomic<Pool *> pool{nullptr};
std::atomic<int> thread_count{0};

void renew() { pool = new Pool; }

Pool &the_pool() {
  static std::once_flag once;
  std::call_once(once, [] {
    renew();
    pthread_atfork(nullptr, nullptr, renew);
  });
  return *pool;
}

int threads_asked_for() {
  if (const char *text = getenv("SUNHWAN_NUM_THREADS")) {
    char *end;
    long threads = strtol(text, &end, 10);
    if (end != text && *end == '\0' && threads >= 1 && threads <= 1024) return threads;
  }
  int threads = std::thread::hardware_concurrency();
#ifdef __linux__
  // Those that this process may run on, where it was given fewer (taskset, a container).
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) threads = CPU_COUNT(&allowed);
#endif
  return threads < 1 ? 1 : threads;
}

// The control register of floating-point arithmetic, and what in it flushes denormals, as results and as operands.
#if defined(__x86_64__)
constexpr uint64_t FLUSH = 0x8040;
uint64_t control() { return _mm_getcsr(); }
void set_control(uint64_t value) { _mm_setcsr((unsigned)value); }
#elif defined(__aarch64__)
constexpr uint64_t FLUSH = 1 << 24;
uint64_t control() {
  uint64_t value;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
void set_control(uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
constexpr uint64_t FLUSH = 0;
uint64_t control() { return 0; }
void set_control(uint64_t) {}
#endif

}  // namespace

int num_threads() {
  int threads = thread_count.load(std::memory_order_relaxed);
  if (threads) return threads;
  // Unless another thread was quicker, perhaps by set_num_threads.
  const int asked_for = threads_asked_for();
  return thread_count.compare_exchange_strong(threads, asked_for) ? asked_for : threads;
}

void set_num_threads(int threads) { thread_count = threads; }

FlushDenormals::FlushDenormals() : before_(control()) { set_control(before_ | FLUSH); }
FlushDenormals::~FlushDenormals() { set_control((control() & ~FLUSH) | (before_ & FLUSH)); }

void parallel(long count, void (*work)(void *, long, int), void *context, int threads) {
  if (threads > count) threads = count;
  if (threads <= 1) {
    for (long index = 0; index < count; index++) work(context, index, 0);
    return;
  }
  Pool &p = the_pool();
  Job job{work, context, count, threads};
  {
    std::lock_guard<std::mutex> lock(p.mutex);
    p.start(threads - 1);
    p.jobs.push_back(&job);
    p.posted++;
  }
  for (int others = threads - 1; others > 0; others--) p.job_posted.notify_one();
  job.take_part(0);
  {
    std::lock_guard<std::mutex> lock(p.mutex);
    for (size_t i = 0; i < p.jobs.size(); i++)
      if (p.jobs[i] == &job) p.jobs.erase(p.jobs.begin() + i--);
  }
  spin_until([&] { return !job.working; });
  // Also where that was not in vain: the last to leave still has the lock.
  std::unique_lock<std::mutex> lock(p.mutex);
  while (job.working) p.worker_left.wait(lock);
}

}  // namespace sunhwan
