// Memory that is kept between calls: a fresh buffer of some megabytes costs a page fault every 4 KB, a seventh of
// a training step.
#ifndef SUNHWAN_MEMORY_H
#define SUNHWAN_MEMORY_H

#include <stddef.h>
#include <stdint.h>

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

 private:
  size_t bytes_;
};

// Asks for large pages under an array that is about to be written, if it is large and nobody has touched it yet:
// fresh memory of a framework costs a page fault every 4 KB otherwise, more than the arithmetic of a small network.
void prefer_large_pages(void *data, size_t bytes);

int64_t memory_kept();
void release_memory();

}  // namespace sunhwan

#endif
