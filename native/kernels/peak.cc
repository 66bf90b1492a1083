// The highest rate of multiply-adds: a loop that touches registers only. The accumulators are single variables pinned by
// asm, or the compiler would spill an array of them and measure memory.
#include <time.h>

#include "families.h"
#include "pool.h"
#include "tile.h"

namespace ISA_NS {
namespace {

double seconds_now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

#if defined(__x86_64__)
#define PIN(value) asm volatile("" : "+v"(value))
#elif defined(__aarch64__)
#define PIN(value) asm volatile("" : "+w"(value))
#endif

// Best of short windows: FLOP/s of one thread.
template <typename P>
double run_peak(double milliseconds) {
  constexpr int64_t loops = 20000;
  vf a0 = {}, a1 = {}, a2 = {}, a3 = {}, a4 = {}, a5 = {}, a6 = {}, a7 = {}, a8 = {}, a9 = {}, a10 = {}, a11 = {};
  vf x = {}, y = {};
  double best = 0;
  const double start = seconds_now();
  while (seconds_now() - start < milliseconds * 1e-3) {
    const double from = seconds_now();
    for (int64_t i = 0; i < loops; i++) {
      PIN(x);
#define STEP(acc) P::step(acc, x, y); PIN(acc)
      STEP(a0); STEP(a1); STEP(a2); STEP(a3); STEP(a4); STEP(a5);
      STEP(a6); STEP(a7); STEP(a8); STEP(a9); STEP(a10); STEP(a11);
#undef STEP
    }
    const double flops = loops * 12.0 * 2.0 * W * P::kPerElement / (seconds_now() - from);
    if (flops > best) best = flops;
  }
  return best;
}

// Sum over all threads of the pool, which run at once.
double measure_flops(bool bf16, double milliseconds) {
  double rates[256] = {};
  const int threads = pool::threads();
  pool::parallel_for(threads, [&](int64_t piece) {
#if ISA_HAS_BF16
    rates[piece] = bf16 ? run_peak<Bf16>(milliseconds) : run_peak<F32>(milliseconds);
#else
    (void)bf16;
    rates[piece] = run_peak<F32>(milliseconds);
#endif
  });
  double total = 0;
  for (int i = 0; i < threads; i++) total += rates[i];
  return total;
}

}  // namespace

void fill_peak(KernelTable& table) { table.measure_flops = measure_flops; }

}  // namespace ISA_NS
