// The process's thread pool. `parallel_for` hands out pieces from one counter. How a sum is cut never depends on the number of
// threads, so results do not either. Idle threads spin shortly, then sleep. If another Node thread holds the pool, the
// pieces run on the calling thread. What a piece throws reaches the caller of `run` after all pieces have ended; the rest of the
// pieces may then be left out. Threads are detached and the pool is never destroyed: it cannot delay exit.
#pragma once
#include <cstdint>

namespace pool {

using Piece = void (*)(void* context, int64_t piece);

int threads();
void set_threads(int threads);
void run(int64_t pieces, Piece function, void* context);

namespace {
template <typename F>
inline __attribute__((always_inline)) void parallel_for(int64_t pieces, F&& body) {
  run(pieces, [](void* context, int64_t piece) { (*static_cast<F*>(context))(piece); }, &body);
}
}  // namespace

}  // namespace pool
