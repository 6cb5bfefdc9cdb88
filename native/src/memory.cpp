#include "memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include <atomic>
#include <deque>
#include <mutex>
#include <new>
#include <random>

namespace sunhwan {

namespace {

struct Block {
  char *data;
  size_t bytes;
  int64_t since;  // when it was given back, counted in blocks given back
};

// What is kept is bounded in blocks (a model of several layers wants one for each, and two) and in bytes; what was
// not used for longest goes first.
constexpr int MOST_BLOCKS = 16;
// Also of what is held for backward. A step of training holds that of all layers at once, and it comes back together.
constexpr size_t MOST_BYTES = (size_t)2 << 30;
constexpr size_t HUGE_PAGE = 2u << 20;

struct Held {
  int64_t ticket;
  HeldCall call;
  std::unique_ptr<Workspace> memory;
};

struct Kept {
  std::mutex mutex;
  Block blocks[MOST_BLOCKS] = {};
  size_t bytes = 0;
  int64_t given_back = 0;

  std::mutex held_mutex;
  std::deque<Held> held;  // the oldest first
  size_t held_bytes = 0;
};

// Never begins anew in the child of a fork, which may be handed tickets of its parent's; and begins anywhere, so that
// processes that work on one program do not hand out the same ones.
int64_t next_ticket() {
  static std::atomic<int64_t> last{(int64_t)std::random_device()() << 8};
  return ++last;
}

Kept *kept;

// The child of a fork may find the mutex locked by a thread that it does not have: it gets a new one, and lets the
// blocks be.
Kept &the_kept() {
  static std::once_flag once;
  std::call_once(once, [] {
    kept = new Kept;
    pthread_atfork(nullptr, nullptr, [] { kept = new Kept; });
  });
  return *kept;
}

char *allocate(size_t bytes) {
  void *data = nullptr;
  if (posix_memalign(&data, bytes < HUGE_PAGE ? 64 : HUGE_PAGE, bytes)) return nullptr;
  prefer_large_pages(data, bytes);
  return static_cast<char *>(data);
}

}  // namespace

Workspace::Workspace(size_t bytes) : data(nullptr), bytes_(bytes) {
  Kept &k = the_kept();
  {
    std::lock_guard<std::mutex> lock(k.mutex);
    Block *best = nullptr;
    // Twice the size at most: a small call shall not sit on the memory of a large one.
    for (Block &block : k.blocks)
      if (block.data && block.bytes >= bytes && block.bytes <= 2 * bytes && (!best || block.bytes < best->bytes))
        best = &block;
    if (best) {
      data = best->data;
      bytes_ = best->bytes;
      k.bytes -= best->bytes;
      *best = {};
      return;
    }
  }
  data = allocate(bytes);
}

Workspace::~Workspace() {
  if (!data) return;
  Kept &k = the_kept();
  if (bytes_ > MOST_BYTES) {
    free(data);
    return;
  }
  std::lock_guard<std::mutex> lock(k.mutex);
  for (;;) {
    Block *empty = nullptr, *oldest = nullptr;
    for (Block &block : k.blocks)
      if (!block.data)
        empty = &block;
      else if (!oldest || block.since < oldest->since)
        oldest = &block;
    if (empty && k.bytes + bytes_ <= MOST_BYTES) {
      *empty = {data, bytes_, ++k.given_back};
      k.bytes += bytes_;
      return;
    }
    free(oldest->data);
    k.bytes -= oldest->bytes;
    *oldest = {};
  }
}

int64_t hold(std::unique_ptr<Workspace> memory, const HeldCall &call) {
  Kept &k = the_kept();
  int64_t ticket = next_ticket();
  const size_t bytes = memory->bytes();
  std::lock_guard<std::mutex> lock(k.held_mutex);
  k.held.push_back({ticket, call, std::move(memory)});
  k.held_bytes += bytes;
  while (k.held_bytes > MOST_BYTES && k.held.size() > 1) {
    k.held_bytes -= k.held.front().memory->bytes();
    k.held.pop_front();
  }
  return ticket;
}

std::unique_ptr<Workspace> take_held(int64_t ticket, const HeldCall &call) {
  Kept &k = the_kept();
  std::lock_guard<std::mutex> lock(k.held_mutex);
  for (auto held = k.held.begin(); held != k.held.end(); ++held) {
    if (held->ticket != ticket) continue;
    if (memcmp(&held->call, &call, sizeof call) != 0) return nullptr;
    std::unique_ptr<Workspace> memory = std::move(held->memory);
    k.held_bytes -= memory->bytes();
    k.held.erase(held);
    return memory;
  }
  return nullptr;
}

void prefer_large_pages(void *data, size_t bytes) {
#ifdef __linux__
  uintptr_t begin = ((uintptr_t)data + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  uintptr_t end = ((uintptr_t)data + bytes) / HUGE_PAGE * HUGE_PAGE;
  if (data && begin < end) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

int64_t memory_kept() {
  Kept &k = the_kept();
  std::lock_guard<std::mutex> lock(k.mutex);
  return k.bytes;
}

void release_memory() {
  Kept &k = the_kept();
  {
    std::lock_guard<std::mutex> lock(k.held_mutex);
    k.held.clear();  // which puts it with the blocks
    k.held_bytes = 0;
  }
  std::lock_guard<std::mutex> lock(k.mutex);
  for (Block &block : k.blocks) {
    free(block.data);
    block = {};
  }
  k.bytes = 0;
}

}  // namespace sunhwan
