#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace pool {
namespace {

constexpr uint32_t closed = 0xFFFFFFFF;
constexpr int spins = 3000;
constexpr int max_threads = 256;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A job is published by `ticket` = (generation << 32 | next piece). A thread takes a piece by exchanging the ticket, which
// fails when the generation has moved on, so nobody needs to wait for threads that have not woken up.
struct State {
  std::mutex busy;  // held by the thread whose job runs
  std::atomic<int> threads{1};
  int started = 1;

  alignas(64) std::atomic<uint64_t> ticket{closed};
  alignas(64) std::atomic<int64_t> done{0};
  alignas(64) std::atomic<int64_t> pieces{0};
  std::atomic<Piece> function{nullptr};
  std::atomic<void*> context{nullptr};
  std::atomic<bool> failed{false};
  std::exception_ptr failure;  // of the first piece that failed; written by who set `failed`, read after the last piece

  std::atomic<int> sleepers{0};
  std::mutex sleep;
  std::condition_variable wake;
};

State& state() {
  static State* instance = new State;
  return *instance;
}

// Runs pieces of the current job until none is left; returns the generation it saw.
uint32_t work(State& s) {
  uint64_t ticket = s.ticket.load(std::memory_order_acquire);
  for (;;) {
    const int64_t pieces = s.pieces.load(std::memory_order_relaxed);
    const Piece function = s.function.load(std::memory_order_relaxed);
    void* context = s.context.load(std::memory_order_relaxed);
    const uint32_t next = static_cast<uint32_t>(ticket);
    if (next == closed || next >= pieces) return static_cast<uint32_t>(ticket >> 32);
    if (!s.ticket.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
    // Not left to fly: the context lives on the stack of the caller, which waits for every piece.
    try {
      if (!s.failed.load(std::memory_order_relaxed)) function(context, next);
    } catch (...) {
      if (!s.failed.exchange(true)) s.failure = std::current_exception();
    }
    s.done.fetch_add(1, std::memory_order_release);
    ticket = s.ticket.load(std::memory_order_acquire);
  }
}

void serve(int index) {
  State& s = state();
  uint32_t seen = 0;
  const auto fresh = [&] {
    return static_cast<uint32_t>(s.ticket.load() >> 32) != seen && index < s.threads.load();
  };
  for (;;) {
    for (int i = 0; i < spins && !fresh(); i++) relax();
    if (!fresh()) {
      std::unique_lock<std::mutex> lock(s.sleep);
      s.sleepers.fetch_add(1);
      s.wake.wait(lock, fresh);
      s.sleepers.fetch_sub(1);
    }
    seen = work(s);
  }
}

}  // namespace

int threads() { return state().threads.load(); }

void set_threads(int threads) {
  State& s = state();
  std::lock_guard<std::mutex> hold(s.busy);
  if (threads < 1) threads = 1;
  if (threads > max_threads) threads = max_threads;
  for (; s.started < threads; s.started++) std::thread(serve, s.started).detach();
  s.threads.store(threads);
}

void run(int64_t pieces, Piece function, void* context) {
  State& s = state();
  const bool alone = pieces <= 1 || pieces >= closed || s.threads.load(std::memory_order_relaxed) == 1 || !s.busy.try_lock();
  if (alone) {
    for (int64_t piece = 0; piece < pieces; piece++) function(context, piece);
    return;
  }
  std::lock_guard<std::mutex> hold(s.busy, std::adopt_lock);
  const uint64_t generation = (s.ticket.load() >> 32) + 1;
  s.ticket.store(generation << 32 | closed);
  s.pieces.store(pieces);
  s.function.store(function);
  s.context.store(context);
  s.done.store(0);
  s.failed.store(false);
  s.ticket.store((generation + 1) << 32);
  if (s.sleepers.load() > 0) {
    std::lock_guard<std::mutex> lock(s.sleep);
    s.wake.notify_all();
  }
  work(s);
  for (int i = 0; s.done.load(std::memory_order_acquire) < pieces; i++) {
    if (i < spins) relax();
    else std::this_thread::yield();
  }
  if (s.failed.load()) {
    const std::exception_ptr failure = std::exchange(s.failure, nullptr);
    std::rethrow_exception(failure);
  }
}

}  // namespace pool
