// The machine's two limits. The highest rate of multiply-adds: a loop that touches registers only; its accumulators are
// single variables pinned by asm, or the compiler would spill an array of them and measure memory. The highest rate of
// reading memory: passes over regions larger than the caches.
#include <time.h>

#include "families.h"
#include "memory.h"
#include "pool.h"
#include "tile.h"

namespace ISA_NS {
namespace {

double seconds_now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

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

// What all threads read together in one pass, each a region of its own. A region is at least as large as the last-level
// cache of most machines leaves to one core; huge caches shared by few threads would flatter the result.
constexpr int64_t pass_bytes = int64_t{256} << 20;
constexpr int64_t min_region_bytes = int64_t{32} << 20;

inline void read_region(const float* region, int64_t length) {
  vf s0 = {}, s1 = {}, s2 = {}, s3 = {}, s4 = {}, s5 = {}, s6 = {}, s7 = {};
  for (const float* end = region + length; region < end; region += 8 * W) {
    s0 += load(region); s1 += load(region + W); s2 += load(region + 2 * W); s3 += load(region + 3 * W);
    s4 += load(region + 4 * W); s5 += load(region + 5 * W); s6 += load(region + 6 * W); s7 += load(region + 7 * W);
  }
  s0 = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
  PIN(s0);
}

// Best pass, of at least three: bytes per second of all threads together; 0 where there is no memory for it. Pages are
// written first, by the threads that will read them, or every read would hit the system's one page of zeros.
double measure_read(double milliseconds) {
  const int threads = pool::threads();
  const int64_t region_bytes = max64(min_region_bytes, pass_bytes / threads / min_region_bytes * min_region_bytes);
  const int64_t length = region_bytes / static_cast<int64_t>(sizeof(float));
  const size_t size_bytes = static_cast<size_t>(region_bytes * threads);
  float* memory = static_cast<float*>(memory::allocate(size_bytes));
  if (!memory) return 0;
  pool::parallel_for(threads, [&](int64_t piece) {
    float* region = memory + piece * length;
    for (int64_t i = 0; i < length; i += W) store(region + i, vf{});
  });
  double best = 0;
  const double start = seconds_now();
  for (int pass = 0; pass < 3 || seconds_now() - start < milliseconds * 1e-3; pass++) {
    const double from = seconds_now();
    pool::parallel_for(threads, [&](int64_t piece) { read_region(memory + piece * length, length); });
    const double rate = static_cast<double>(size_bytes) / (seconds_now() - from);
    if (rate > best) best = rate;
  }
  memory::release(memory, size_bytes);
  return best;
}

}  // namespace

void fill_peak(KernelTable& table) {
  table.measure_flops = measure_flops;
  table.measure_read = measure_read;
}

}  // namespace ISA_NS
