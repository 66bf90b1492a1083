// Quantisers of Q4_K and Q6_K. The search for a sub-block's scale adds in a fixed order, so it cannot be spread over a vector;
// W sub-blocks are searched at a time instead, one in each lane. The algorithm, in plain words: src/tensor/reference/blocks/k-search.ts.
#include "blocks.h"

namespace ISA_NS {
namespace {

constexpr int block_weights = 256;
constexpr float group_max_eps = 1e-15f;

ALWAYS_INLINE vf to_floats(vi x) { return __builtin_convertvector(x, vf); }
ALWAYS_INLINE vf vabs(vf x) { return (vf)((vi)x & 0x7FFFFFFF); }
ALWAYS_INLINE vi choose(vi mask, vi yes, vi no) { return (mask & yes) | (~mask & no); }
ALWAYS_INLINE vi clamp(vi x, int least, int most) {
  const vi raised = choose(x < least, splat_int(least), x);
  return choose(raised > most, splat_int(most), raised);
}
// Ties to even; wraps beyond 2^22, as ggml's own.
ALWAYS_INLINE vi nearest_int(vf x) { return ((vi)(x + kShiftToInteger) & 0x7FFFFF) - 0x400000; }
ALWAYS_INLINE int nearest_int(float x) {
  return static_cast<int>(bits_of(x + kShiftToInteger) & 0x7FFFFF) - 0x400000;
}
ALWAYS_INLINE int clamp(int x, int least, int most) { return x < least ? least : x > most ? most : x; }

// Sub-blocks of `count` weights side by side: tile[i] holds weight i of each; the last ones again where fewer than W are left.
template <int count>
ALWAYS_INLINE void load_tile(vf* tile, const float* x, int64_t subblocks) {
  for (int lane = 0; lane < W; lane++) {
    const float* from = x + min64(lane, subblocks - 1) * count;
    for (int i = 0; i < count; i++) tile[i][lane] = from[i];
  }
}

// ---- Q4_K

struct Fit {
  vf scale, min;
};

ALWAYS_INLINE vf error_of(const vf* x, const vf* weights, const vi* levels, Fit fit) {
  vf error = {};
  for (int i = 0; i < 32; i++) {
    const vf miss = fit.scale * to_floats(levels[i]) + fit.min - x[i];
    error = error + weights[i] * (miss * miss);
  }
  return error;
}

// Writes levels[32], and the scale and the min (to be subtracted) of each lane.
ALWAYS_INLINE Fit search_scale_and_min(const vf* x, vi* levels) {
  vf weights[32], squares = {};
  for (int i = 0; i < 32; i++) squares = squares + x[i] * x[i];
  const vf average = vsqrt(squares / 32.0f);
  for (int i = 0; i < 32; i++) weights[i] = average + vabs(x[i]);
  vf least = x[0], most = x[0], sum_w = weights[0], sum_x = weights[0] * x[0];
  for (int i = 1; i < 32; i++) {
    least = select(x[i] < least, x[i], least);
    most = select(x[i] > most, x[i], most);
    sum_w = sum_w + weights[i];
    sum_x = sum_x + weights[i] * x[i];
  }
  least = select(least > 0.0f, vf{}, least);
  const vi flat = most == least;
  const auto round = [&](vf inverse, vf min, vi* into) __attribute__((always_inline)) {
    for (int i = 0; i < 32; i++) into[i] = clamp(nearest_int(inverse * (x[i] - min)), 0, 15);
  };
  const vf inverse = 15.0f / (most - least);
  Fit best = {1.0f / inverse, least};
  round(inverse, least, levels);
  vf best_error = error_of(x, weights, levels, best);
  for (int step = 0; step <= 20; step++) {
    vi trial[32];
    const float target = 0.1f * static_cast<float>(step) - 1.0f + 15.0f;
    round(target / (most - best.min), best.min, trial);
    vf sum_l = {}, sum_l2 = {}, sum_xl = {};
    for (int i = 0; i < 32; i++) {
      const vf level = to_floats(trial[i]), wl = weights[i] * level;
      sum_l = sum_l + wl;
      sum_l2 = sum_l2 + wl * level;
      sum_xl = sum_xl + wl * x[i];
    }
    const vf determinant = sum_w * sum_l2 - sum_l * sum_l;
    Fit found = {(sum_w * sum_xl - sum_x * sum_l) / determinant, (sum_l2 * sum_x - sum_l * sum_xl) / determinant};
    const vi above = found.min > 0.0f;
    found.scale = select(above, sum_xl / sum_l2, found.scale);
    found.min = select(above, vf{}, found.min);
    const vf error = error_of(x, weights, trial, found);
    const vi better = (determinant > 0.0f) & (error < best_error);
    for (int i = 0; i < 32; i++) levels[i] = choose(better, trial[i], levels[i]);
    best_error = select(better, error, best_error);
    best = {select(better, found.scale, best.scale), select(better, found.min, best.min)};
  }
  for (int i = 0; i < 32; i++) levels[i] = choose(flat, vi{}, levels[i]);
  return {select(flat, vf{}, best.scale), -select(flat, least, best.min)};
}

ALWAYS_INLINE float largest_of(const float* values, int count) {
  float most = 0;
  for (int i = 0; i < count; i++) most = values[i] > most ? values[i] : most;
  return most;
}

ALWAYS_INLINE int six_bits(float x) {
  const int byte = nearest_int(x) & 255;
  return byte < 63 ? byte : 63;
}

// From the sub-blocks' scales, mins and levels; levels are rounded again with the scales as they are stored.
bool store_q4_k(uint8_t* block, const float* x, const float* scales, const float* mins, uint8_t* levels) {
  const float most = largest_of(scales, 8), most_min = largest_of(mins, 8);
  const float inverse = most > 0 ? 63.0f / most : 0.0f, inverse_min = most_min > 0 ? 63.0f / most_min : 0.0f;
  int own_scales[8], own_mins[8];
  for (int j = 0; j < 8; j++) {
    own_scales[j] = six_bits(inverse * scales[j]);
    own_mins[j] = six_bits(inverse_min * mins[j]);
  }
  uint8_t* packed = block + 4;
  for (int j = 0; j < 4; j++) {
    packed[j] = static_cast<uint8_t>(own_scales[j] | own_scales[j + 4] >> 4 << 6);
    packed[j + 4] = static_cast<uint8_t>(own_mins[j] | own_mins[j + 4] >> 4 << 6);
    packed[j + 8] = static_cast<uint8_t>((own_scales[j + 4] & 15) | (own_mins[j + 4] & 15) << 4);
  }
  const float d = store_half(block, most / 63.0f), dmin = store_half(block + 2, most_min / 63.0f);
  for (int j = 0; j < 8; j++) {
    const float scale = d * static_cast<float>(own_scales[j]), min = dmin * static_cast<float>(own_mins[j]);
    if (scale == 0) continue;
    for (int i = 32 * j; i < 32 * j + 32; i++)
      levels[i] = static_cast<uint8_t>(clamp(nearest_int((x[i] + min) / scale), 0, 15));
  }
  for (int g = 0; g < 4; g++)
    for (int l = 0; l < 32; l++)
      block[16 + 32 * g + l] = static_cast<uint8_t>(levels[64 * g + l] | levels[64 * g + 32 + l] << 4);
  return largest_bits(x, block_weights) < too_large && is_finite_half(d) && is_finite_half(dmin);
}

// ---- Q6_K

constexpr int half_levels = 32;

ALWAYS_INLINE vi level_of(vf x, vf inverse) { return clamp(nearest_int(inverse * x), -half_levels, half_levels - 1); }

// Writes levels[16], and the scale of each lane.
ALWAYS_INLINE vf search_scale(const vf* x, vi* levels) {
  vf farthest = {};
  for (int i = 0; i < 16; i++) farthest = select(vabs(x[i]) > vabs(farthest), x[i], farthest);
  const vi zero = vabs(farthest) < group_max_eps;
  vf sum_lx, sum_l2;
  const auto fit = [&](vf inverse, vi* into) __attribute__((always_inline)) {
    sum_lx = sum_l2 = vf{};
    for (int i = 0; i < 16; i++) {
      into[i] = level_of(x[i], inverse);
      const vf level = to_floats(into[i]), weight = x[i] * x[i];
      sum_lx = sum_lx + weight * x[i] * level;
      sum_l2 = sum_l2 + weight * level * level;
    }
  };
  fit(-static_cast<float>(half_levels) / farthest, levels);
  vf scale = select(sum_l2 != 0.0f, sum_lx / sum_l2, vf{});
  vf best = scale * sum_lx;
  for (int step = -9; step <= 9; step++) {
    if (step == 0) continue;
    vi trial[16];
    fit(-(half_levels + 0.1f * static_cast<float>(step)) / farthest, trial);
    const vi better = (sum_l2 > 0.0f) & (sum_lx * sum_lx > best * sum_l2);
    for (int i = 0; i < 16; i++) levels[i] = choose(better, trial[i], levels[i]);
    const vf found = sum_lx / sum_l2;
    scale = select(better, found, scale);
    best = select(better, found * sum_lx, best);
  }
  for (int i = 0; i < 16; i++) levels[i] = choose(zero, vi{}, levels[i] + half_levels);
  return select(zero, vf{}, scale);
}

bool store_q6_k(uint8_t* block, const float* x, const float* scales, uint8_t* levels) {
  float farthest = 0;
  for (int j = 0; j < 16; j++) farthest = __builtin_fabsf(scales[j]) > __builtin_fabsf(farthest) ? scales[j] : farthest;
  const bool usual = largest_bits(x, block_weights) < too_large;
  if (__builtin_fabsf(farthest) < group_max_eps) {
    memset(block, 0, 210);
    return usual;
  }
  const float inverse = -128.0f / farthest, d = store_half(block + 208, 1.0f / inverse);
  for (int j = 0; j < 16; j++) {
    const int nearest = nearest_int(inverse * scales[j]);
    const auto own = static_cast<int8_t>(nearest < 127 ? nearest : 127);
    block[192 + j] = static_cast<uint8_t>(own);
    const float scale = d * static_cast<float>(own);
    if (scale == 0) continue;
    for (int i = 16 * j; i < 16 * j + 16; i++)
      levels[i] = static_cast<uint8_t>(clamp(nearest_int(x[i] / scale), -half_levels, half_levels - 1) + half_levels);
  }
  for (int g = 0; g < 2; g++)
    for (int l = 0; l < 32; l++) {
      const uint8_t* p = levels + 128 * g + l;
      block[64 * g + l] = static_cast<uint8_t>((p[0] & 15) | (p[64] & 15) << 4);
      block[64 * g + 32 + l] = static_cast<uint8_t>((p[32] & 15) | (p[96] & 15) << 4);
      block[128 + 32 * g + l] =
          static_cast<uint8_t>(p[0] >> 4 | p[32] >> 4 << 2 | p[64] >> 4 << 4 | p[96] >> 4 << 6);
    }
  return usual && is_finite_half(d);
}

// ---- both

// Super-blocks searched together, so that vectors are full.
constexpr int together = 2;

template <int count>
ALWAYS_INLINE void store_levels(uint8_t* levels, const vi* tile, int64_t first, int64_t subblocks) {
  for (int64_t lane = 0; lane < min64(W, subblocks - first); lane++)
    for (int i = 0; i < count; i++) levels[(first + lane) * count + i] = static_cast<uint8_t>(tile[i][lane]);
}

}  // namespace

bool quantize_q4_k(uint8_t* blocks, const float* x, int64_t count) {
  bool fits = true;
  for (int64_t done = 0; done < count; done += together) {
    const int64_t now = min64(together, count - done), subblocks = 8 * now;
    const float* from = x + done * block_weights;
    uint8_t levels[together * block_weights];
    float scales[together * 8 + W], mins[together * 8 + W];
    for (int64_t first = 0; first < subblocks; first += W) {
      vf tile[32];
      vi found[32];
      load_tile<32>(tile, from + first * 32, subblocks - first);
      const Fit fit = search_scale_and_min(tile, found);
      store(scales + first, fit.scale);
      store(mins + first, fit.min);
      store_levels<32>(levels, found, first, subblocks);
    }
    for (int64_t i = 0; i < now; i++)
      fits &= store_q4_k(blocks + (done + i) * 144, from + i * block_weights, scales + 8 * i, mins + 8 * i,
                         levels + i * block_weights);
  }
  return fits;
}

bool quantize_q6_k(uint8_t* blocks, const float* x, int64_t count) {
  bool fits = true;
  for (int64_t done = 0; done < count; done++) {
    const float* from = x + done * block_weights;
    uint8_t levels[block_weights];
    float scales[16];
    for (int64_t first = 0; first < 16; first += W) {
      vf tile[16];
      vi found[16];
      load_tile<16>(tile, from + first * 16, 16 - first);
      store(scales + first, search_scale(tile, found));
      store_levels<16>(levels, found, first, 16);
    }
    fits &= store_q6_k(blocks + done * 210, from, scales, levels);
  }
  return fits;
}

}  // namespace ISA_NS
