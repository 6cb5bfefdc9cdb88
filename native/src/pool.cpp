#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace sunhwan {

namespace {

struct Job {
  void (*work)(void *, long, int);
  void *context;
  long count;
  int most_workers;
  int workers = 1;           // that have joined, the caller among them; guarded by Pool::mutex
  int working = 0;           // of those, others than the caller that have not left; guarded likewise
  std::atomic<long> next{0};

  void take_part(int worker) {
    for (long index; (index = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(context, index, worker);
  }
};

struct Pool {
  std::mutex mutex;
  std::condition_variable job_posted, worker_left;
  std::vector<Job *> jobs;
  int threads = 0;  // started

  Job *open_job() {
    for (Job *job : jobs)
      if (job->workers < job->most_workers && job->next.load(std::memory_order_relaxed) < job->count) return job;
    return nullptr;
  }

  void serve() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      Job *job;
      while (!(job = open_job())) job_posted.wait(lock);
      int worker = job->workers++;
      job->working++;
      lock.unlock();
      job->take_part(worker);
      lock.lock();
      if (--job->working == 0) worker_left.notify_all();
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
  return threads < 1 ? 1 : threads;
}

}  // namespace

int num_threads() {
  int threads = thread_count.load(std::memory_order_relaxed);
  if (!threads) thread_count = threads = threads_asked_for();
  return threads;
}

void set_num_threads(int threads) { thread_count = threads; }

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
  }
  if (threads == 2)
    p.job_posted.notify_one();
  else
    p.job_posted.notify_all();
  job.take_part(0);
  std::unique_lock<std::mutex> lock(p.mutex);
  for (size_t i = 0; i < p.jobs.size(); i++)
    if (p.jobs[i] == &job) p.jobs.erase(p.jobs.begin() + i--);
  while (job.working) p.worker_left.wait(lock);
}

}  // namespace sunhwan
