// Products with weights kept in fewer bits than the activations: bf16, or int8 with a scale per column and kDepth rows.
// Decoding reads every weight once for a row or a few, so its speed is that of reading them. Columns stand in wide panels,
// [group][panel][k][kWide], several to a lane, so that shifts and masks unpack them; the int8 scales follow each panel.
// Few rows multiply what is read at once; many unpack a block into panels of floats first. Both sum an element along K in
// the same order, so a row is computed alike in any batch.
#include "weights.h"

#include "memory.h"
#include "operands.h"
#include "pool.h"

namespace ISA_NS {
namespace {

using memory::Slot;

constexpr int64_t kWide = 8 * W;
constexpr int64_t kPanelsOfWide = kWide / kPanel;
constexpr int64_t kFewRows = 3;                    // multiplied one by one as the weights are read
constexpr int64_t kWordsAhead = 512;               // of a row's pass down a panel
constexpr int64_t kPieceBytes = int64_t{1} << 17;  // of weights, about

ALWAYS_INLINE vf to_float(vi x) { return __builtin_convertvector(x, vf); }

// Lane i of a word holds columns i (lower half) and W + i.
struct Bf16Weights {
  static constexpr int64_t kPerWord = 2;
  static constexpr bool kScaled = false;
  static __attribute__((always_inline)) void unpack(vi word, vf* columns) {
    columns[0] = (vf)(word << 16);
    columns[1] = (vf)(word & static_cast<int32_t>(0xFFFF0000u));
  }
  static __attribute__((always_inline)) vi word_of(const vf* columns, const vf*) {
    return (vi)((vu)round_bf16(columns[0]) >> 16) | (vi)round_bf16(columns[1]);
  }
};

// Lane i holds columns i, W + i, 2W + i, 3W + i, from the lowest byte; unpacked times 2^24, which the scales undo.
struct Int8Weights {
  static constexpr int64_t kPerWord = 4;
  static constexpr bool kScaled = true;
  static __attribute__((always_inline)) void unpack(vi word, vf* columns) {
    const int32_t top = static_cast<int32_t>(0xFF000000u);
    columns[0] = to_float(word << 24);
    columns[1] = to_float((word << 16) & top);
    columns[2] = to_float((word << 8) & top);
    columns[3] = to_float(word & top);
  }
  static __attribute__((always_inline)) vi word_of(const vf* columns, const vf* inverse) {
    vi word = {};
    for (int c = 0; c < 4; c++) {
      vf scaled = columns[c] * inverse[c];
      PIN(scaled);  // rounded by itself on every processor
      word |= ((vi)(scaled + kShiftToInteger) & 0xFF) << (8 * c);  // the sum's lowest byte is the nearest integer
    }
    return word;
  }
};

template <typename P>
struct WideLayout {
  int64_t k, blocks, panels;
  explicit WideLayout(int64_t k_, int64_t n) : k(k_), blocks(ceil_div(k_, kDepth)), panels(ceil_div(n, kWide)) {}
  int64_t words_of_row() const { return kWide / P::kPerWord; }
  int64_t panel_words() const { return k * words_of_row() + (P::kScaled ? blocks * kWide : 0); }
  int32_t* panel(void* data, int64_t index) const { return static_cast<int32_t*>(data) + index * panel_words(); }
  const int32_t* block(const int32_t* panel, int64_t b) const { return panel + b * kDepth * words_of_row(); }
  const float* scales(const int32_t* panel, int64_t b) const {
    return reinterpret_cast<const float*>(panel + k * words_of_row()) + b * kWide;
  }
};

template <typename P>
void pack_with(const PackedMatrix& packed, const float* source, bool transposed) {
  const WideLayout<P> layout(packed.k, packed.n);
  const int64_t k = packed.k, n = packed.n;
  pool::parallel_for(packed.groups * layout.panels, [&](int64_t piece) {
    const float* from = source + piece / layout.panels * k * n;
    const int64_t first = piece % layout.panels * kWide;
    float* floats = static_cast<float*>(memory::scratch(Slot::a, kDepth * kWide * 4));
    int32_t* words = layout.panel(packed.data, piece);
    float* scales = const_cast<float*>(layout.scales(words, 0));
    for (int64_t e = 0; e < k; e += kDepth, scales += kWide) {
      const int64_t depth = min64(kDepth, k - e);
      for (int64_t p = 0; p < kPanelsOfWide; p++) {
        float* out = floats + p * depth * kPanel;
        const int64_t column = first + p * kPanel, count = max64(0, min64(kPanel, n - column));
        if (count == 0) memset(out, 0, static_cast<size_t>(depth * kPanel) * 4);
        else if (transposed) turn_panel<F32>(out, from + column * k + e, k, count, depth, false);
        else pack_panel<F32>(out, from + e * n, n, column, count, depth, false);
      }
      vf inverse[8] = {};
      if constexpr (P::kScaled)
        for (int64_t v = 0; v < 8; v++) {
          vf top = {}, broken = {};
          const float* column = floats + v / 2 * depth * kPanel + v % 2 * W;
          for (int64_t i = 0; i < depth; i++) {
            const vf x = load(column + i * kPanel);
            top = vmax(top, vmax(x, -x));
            broken += x * 0.0f;  // not a number from one that is none, or infinite
          }
          top += broken;
          inverse[v] = select(top > vf{}, 127.0f / top, vf{});
          store(scales + v * W, top / 127.0f * 0x1p-24f);
        }
      for (int64_t i = 0; i < depth; i++)
        for (int64_t v = 0; v < 8; v += P::kPerWord, words += W) {
          vf columns[P::kPerWord];
          for (int64_t c = 0; c < P::kPerWord; c++)
            columns[c] = load(floats + (v + c) / 2 * depth * kPanel + i * kPanel + (v + c) % 2 * W);
          store_int(words, P::word_of(columns, inverse + v));
        }
    }
  });
}

// Takes a block's sums of `count` columns into their totals. Product and sum are rounded one by one wherever this is inlined,
// for one row and for many.
template <typename P>
ALWAYS_INLINE void add_block(float* totals, const float* sums, const float* scales, int64_t count, bool fresh) {
  for (int64_t i = 0; i < count; i += W) {
    vf sum = load(sums + i);
    if constexpr (P::kScaled) {
      sum *= load(scales + i);
      PIN(sum);
    }
    store(totals + i, fresh ? sum : load(totals + i) + sum);
  }
}

// One row times block b of one panel, taken into its totals `c`, a row of kWide floats.
template <typename P>
void multiply_row(float* c, const float* a, const int32_t* panel, const WideLayout<P>& layout, int64_t b, bool fresh) {
  const int32_t* words = layout.block(panel, b);
  const int64_t depth = min64(kDepth, layout.k - b * kDepth);
  vf sums[8] = {};
  for (int64_t i = 0; i < depth; i++) {
    const vf x = splat(a[i]);
    for (int line = 0; line < layout.words_of_row(); line += 16) __builtin_prefetch(words + kWordsAhead + line);
#pragma GCC unroll 4
    for (int v = 0; v < 8; v += static_cast<int>(P::kPerWord), words += W) {
      vf columns[P::kPerWord];
      P::unpack(load_int(words), columns);
#pragma GCC unroll 4
      for (int j = 0; j < P::kPerWord; j++) sums[v + j] += x * columns[j];
    }
  }
  float flat[kWide];
#pragma GCC unroll 8
  for (int v = 0; v < 8; v++) store(flat + v * W, sums[v]);
  add_block<P>(c, flat, layout.scales(panel, b), kWide, fresh);
}

// A block as panels [kPanelsOfWide][depth][kPanel] of floats.
template <typename P>
void unpack_block(float* out, const int32_t* words, int64_t depth) {
  for (int64_t i = 0; i < depth; i++)
    for (int64_t v = 0; v < 8; v += P::kPerWord, words += W) {
      vf columns[P::kPerWord];
      P::unpack(load_int(words), columns);
      for (int64_t j = 0; j < P::kPerWord; j++)
        store(out + (v + j) / 2 * depth * kPanel + i * kPanel + (v + j) % 2 * W, columns[j]);
    }
}

// Tiles of rows times one panel's block; `c` in rows of kWide floats.
template <typename P>
void multiply_tiles(float* c, const float* a, int64_t rows, const int32_t* panel, const WideLayout<P>& layout, int64_t b,
                    bool fresh, float* unpacked) {
  const int64_t depth = min64(kDepth, layout.k - b * kDepth);
  unpack_block<P>(unpacked, layout.block(panel, b), depth);
  float tile[kTile * kPanel];
  for (int64_t p = 0; p < kPanelsOfWide; p++)
    for (int64_t r = 0; r < rows; r += kTile) {
      const int64_t count = min64(kTile, rows - r);
      micro_kernel<F32, kAnyStep, 1>(count, kPanel)(depth, a + r * layout.k, unpacked + p * depth * kPanel, tile, kPanel,
                                                    false, kPanel, layout.k);
      for (int64_t i = 0; i < count; i++)
        add_block<P>(c + (r + i) * kWide + p * kPanel, tile + i * kPanel, layout.scales(panel, b) + p * kPanel, kPanel, fresh);
    }
}

template <typename P>
void multiply_with(float* c, const float* a, const PackedMatrix& w, const int32_t* offsets, bool accumulate) {
  const int64_t k = w.k, n = w.n;
  const WideLayout<P> layout(k, n);
  if (n == 0) return;
  const int64_t chunk = max64(1, kPieceBytes / max64(1, layout.panel_words() * 4)), chunks = ceil_div(layout.panels, chunk);
  int64_t blocks = 0;
  for (int64_t g = 0; g < w.groups; g++) blocks += ceil_div(offsets[g + 1] - offsets[g], kBlockRows);
  pool::parallel_for(blocks * chunks, [&](int64_t piece) {
    int64_t block = piece / chunks, group = 0;
    for (;; group++) {
      const int64_t own = ceil_div(offsets[group + 1] - offsets[group], kBlockRows);
      if (block < own) break;
      block -= own;
    }
    const int64_t row0 = offsets[group] + block * kBlockRows, rows = min64(kBlockRows, offsets[group + 1] - row0);
    const int64_t panel0 = piece % chunks * chunk, panel1 = min64(layout.panels, panel0 + chunk);
    float* totals = static_cast<float*>(memory::scratch(Slot::a, (rows + kDepth) * kWide * 4));
    float* unpacked = totals + rows * kWide;
    for (int64_t p = panel0; p < panel1; p++) {
      const int32_t* panel = layout.panel(w.data, group * layout.panels + p);
      const int64_t columns = min64(kWide, n - p * kWide);
      float* out = c + row0 * n + p * kWide;
      memset(totals, 0, static_cast<size_t>(rows * kWide) * 4);
      if (accumulate)
        for (int64_t r = 0; r < rows; r++) memcpy(totals + r * kWide, out + r * n, static_cast<size_t>(columns) * 4);
      for (int64_t b = 0; b < layout.blocks; b++) {
        const bool fresh = b == 0 && !accumulate;
        const float* from = a + row0 * k + b * kDepth;
        if (rows > kFewRows) multiply_tiles<P>(totals, from, rows, panel, layout, b, fresh, unpacked);
        else
          for (int64_t r = 0; r < rows; r++) multiply_row<P>(totals + r * kWide, from + r * k, panel, layout, b, fresh);
      }
      for (int64_t r = 0; r < rows; r++) memcpy(out + r * n, totals + r * kWide, static_cast<size_t>(columns) * 4);
    }
  });
}

}  // namespace

int64_t weights_bytes(int64_t k, int64_t n, int64_t groups, Format format) {
  const int64_t words = format == Format::bf16_weights ? WideLayout<Bf16Weights>(k, n).panel_words() : WideLayout<Int8Weights>(k, n).panel_words();
  return groups * ceil_div(n, kWide) * words * 4;
}

void pack_weights(const PackedMatrix& packed, const float* source, bool transposed) {
  if (packed.format == Format::bf16_weights) pack_with<Bf16Weights>(packed, source, transposed);
  else pack_with<Int8Weights>(packed, source, transposed);
}

void multiply_weights(float* c, const float* a, const PackedMatrix& w, const int32_t* offsets, bool accumulate) {
  if (w.format == Format::bf16_weights) multiply_with<Bf16Weights>(c, a, w, offsets, accumulate);
  else multiply_with<Int8Weights>(c, a, w, offsets, accumulate);
}

}  // namespace ISA_NS
