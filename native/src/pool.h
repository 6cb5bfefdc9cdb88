// Threads that share out the tiles of a call.
#ifndef SUNHWAN_POOL_H
#define SUNHWAN_POOL_H

#include <stdint.h>

namespace sunhwan {

int num_threads();
void set_num_threads(int threads);

// Calls work(context, index, worker) for every index below count, from the calling thread and whatever
// other threads are free, and returns when all are done. worker is below `threads` and no two concurrent calls
// of one job share it. Indices are claimed one by one, so that a thread that is held up by another process
// holds up one tile.
void parallel(long count, void (*work)(void *context, long index, int worker), void *context, int threads);

// For as long as it lives, denormal numbers are zero to its thread. Threads of the pool always work so.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals &) = delete;
  FlushDenormals &operator=(const FlushDenormals &) = delete;

 private:
  uint64_t before_;
};

}  // namespace sunhwan

#endif
