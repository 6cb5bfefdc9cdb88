// Memory that is kept between calls: a fresh buffer of some megabytes costs a page fault every 4 KB, a seventh of
// a training step.
#ifndef SUNHWAN_MEMORY_H
#define SUNHWAN_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <memory>

namespace sunhwan {

// A block of at least so many bytes, aligned to 64, its contents whatever they were; given back at the end of its
// scope. `data` is NULL where there is not so much memory.
class Workspace {
 public:
  explicit Workspace(size_t bytes);
  ~Workspace();
  Workspace(const Workspace &) = delete;
  Workspace &operator=(const Workspace &) = delete;
  char *data;
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_;
};

// Memory held from a forward call to its backward, under a ticket. The oldest is let go where there is too much of it,
// and all by release_memory. `call` tells calls of different kinds and sizes apart.
struct HeldCall {
  const void *kernels;
  int64_t sizes[4];
  int32_t options[3];
};
int64_t hold(std::unique_ptr<Workspace> memory, const HeldCall &call);
// The memory of a ticket, if it is still held and was handed out for such a call; else NULL.
std::unique_ptr<Workspace> take_held(int64_t ticket, const HeldCall &call);

// Asks for large pages under an array that is about to be written, if it is large and nobody has touched it yet:
// fresh memory of a framework costs a page fault every 4 KB otherwise, more than the arithmetic of a small network.
void prefer_large_pages(void *data, size_t bytes);

int64_t memory_kept();
void release_memory();

}  // namespace sunhwan

#endif
