// The kernels of one instruction set, as tables of function pointers, one table per family. Every file of kernels/ is
// compiled once per instruction set and fills its part of the table (fill_<family>); the binding checks sizes and calls
// through the table, so kernels trust their arguments. Shapes and contracts: src/tensor/kernels.ts.
#pragma once
#include <cstdint>

enum class Unary : int { neg, exp, log, tanh, sigmoid, silu, gelu, gelu_tanh, relu, square, sqrt };
enum class Binary : int { add, sub, mul, div };
enum class Activation : int { silu, gelu, gelu_tanh };

struct ElementwiseTable {
  void (*fill)(float* y, float value, int64_t length);
  // y (+)= alpha * x
  void (*scale)(float* y, const float* x, float alpha, int64_t length, bool accumulate);
  void (*unary)(Unary op, float* y, const float* x, int64_t length);
  void (*unary_backward)(Unary op, float* dx, const float* dy, const float* x, const float* y, int64_t length,
                         bool accumulate);
  void (*binary)(Binary op, float* y, const float* a, const float* b, int64_t length);
  void (*binary_row)(Binary op, float* y, const float* a, const float* b, int64_t rows, int64_t dim);
  double (*sum)(const float* x, int64_t length);
  double (*sum_of_squares)(const float* x, int64_t length);
  void (*column_sum)(float* sums, const float* x, int64_t rows, int64_t dim, bool accumulate);
};

// Groups of `dim` columns from column `first` on, in rows of `columns`.
struct ColumnGroups {
  int64_t rows, columns, first, groups, dim;
};

struct NormTable {
  void (*layer_forward)(float* y, float* mean, float* rstd, const float* x, const float* weight, int64_t rows,
                        int64_t dim, float epsilon);
  void (*layer_backward)(float* dx, float* dweight, const float* dy, const float* x, const float* weight,
                         const float* mean, const float* rstd, int64_t rows, int64_t dim, bool accumulate);
  void (*rms_forward)(float* y, float* rstd, const float* x, const float* weight, int64_t rows, int64_t dim,
                      float epsilon);
  void (*rms_backward)(float* dx, float* dweight, const float* dy, const float* x, const float* weight,
                       const float* rstd, int64_t rows, int64_t dim, bool accumulate);
  void (*column_forward)(float* y, float* rstd, const float* x, const float* weight, const ColumnGroups& shape, float epsilon);
  // dx may be dy
  void (*column_backward)(float* dx, float* dweight, const float* dy, const float* x, const float* weight,
                          const float* rstd, const ColumnGroups& shape);
};

struct RopeTable {
  // mask may be null
  void (*forward)(float* qkv, uint8_t* mask, const int32_t* positions, const float* cos, const float* sin, int64_t rows,
                  int64_t heads, int64_t kv_heads, int64_t head_dim, float clip);
  void (*backward)(float* dqkv, const uint8_t* mask, const int32_t* positions, const float* cos, const float* sin,
                   int64_t rows, int64_t heads, int64_t kv_heads, int64_t head_dim);
};

struct GluTable {
  void (*forward)(float* h, const float* gate_up, int64_t rows, int64_t hidden, Activation activation);
  void (*backward)(float* dgate_up, const float* dh, const float* gate_up, int64_t rows, int64_t hidden,
                   Activation activation);
};

struct EmbeddingTable {
  void (*forward)(float* y, const float* table, const int32_t* ids, int64_t rows, int64_t dim);
  void (*backward)(float* dtable, const int32_t* ids, const float* dy, int64_t rows, int64_t dim);
};

struct RouterTable {
  void (*forward)(float* probs, float* weights, int32_t* experts, const float* logits, int64_t rows,
                  int64_t num_experts, int64_t top_k, bool normalize);
  void (*backward)(float* dlogits, const float* dweights, const float* aux_grad, const float* probs,
                   const int32_t* experts, int64_t rows, int64_t num_experts, int64_t top_k, bool normalize);
};

struct DispatchTable {
  void (*build_permutation)(int32_t* slot_of, int32_t* token_of, int32_t* offsets, const int32_t* experts,
                            int64_t rows, int64_t top_k, int64_t num_experts);
  void (*gather)(float* out, const float* x, const int32_t* token_of, int64_t slots, int64_t dim);
  void (*gather_backward)(float* dx, const float* dout, const int32_t* slot_of, int64_t rows, int64_t top_k,
                          int64_t dim, bool accumulate);
  void (*combine)(float* y, const float* ys, const float* weights, const int32_t* slot_of, int64_t rows, int64_t top_k,
                  int64_t dim, bool accumulate);
  void (*combine_backward)(float* dys, float* dweights, const float* dy, const float* ys, const float* weights,
                           const int32_t* slot_of, int64_t rows, int64_t top_k, int64_t dim);
};

struct LossTable {
  void (*cross_entropy)(float* losses, float* logits, const int32_t* targets, int64_t rows, int64_t vocab,
                        float grad_scale);
  void (*softmax)(float* y, const float* x, int64_t rows, int64_t dim);
  void (*softmax_backward)(float* dx, const float* dy, const float* y, int64_t rows, int64_t dim, bool accumulate);
};

struct AdamW {
  float learning_rate, beta1, beta2, epsilon, weight_decay, correction1, correction2, grad_scale;
};

struct OptimizerTable {
  void (*adamw)(float* param, float* m, float* v, const float* grad, int64_t length, const AdamW& options);
};

// How a packed matrix is kept. With f32 and bf16 both operands of a product have that precision; with the others only the
// weights lose bits. Numbers as in src/tensor/native/matrix.ts.
enum class Format : int { f32, bf16, bf16_weights, int8_weights };
static inline bool weights_only(Format format) { return format == Format::bf16_weights || format == Format::int8_weights; }

// `groups` matrices of k x n in panels of columns: [group][panel][k (pairs for bf16)][column]. On sets without bf16
// hardware a bf16 matrix holds rounded floats. The layout of the formats for weights only: kernels/weights.cc.
struct PackedMatrix {
  int64_t k, n, groups;
  Format format;
  void* data;
};

struct GemmShape {
  int64_t m, n, k;
  bool trans_a, trans_b, accumulate, bf16;
};

struct MatrixTable {
  int64_t (*packed_bytes)(int64_t k, int64_t n, int64_t groups, Format format);
  void (*pack)(const PackedMatrix& packed, const float* source, bool transposed);
  // For every group g: c[rows g, n] (+)= a[rows g, k] * B_g; rows g = offsets[g]..offsets[g+1].
  void (*grouped_gemm_packed)(float* c, const float* a, const PackedMatrix& b, const int32_t* offsets, bool accumulate);
  // c[g] [m, n] (+)= a[rows g, m]^T * b[rows g, n].
  void (*grouped_gemm_transposed)(float* c, const float* a, const float* b, const int32_t* offsets, int64_t groups,
                                  int64_t m, int64_t n, bool bf16, bool accumulate);
  void (*gemm)(float* c, const float* a, const float* b, const GemmShape& shape);
};

// What happens to scores before the softmax: score (j - i) * slopes[head] is added, or cap * tanh(score / cap) taken.
struct ScoreChange {
  const float* slopes;  // per head; null for none
  float cap;            // 0 for none
};

struct AttentionShape {
  int64_t rows, heads, kv_heads, head_dim;
  ScoreChange scores;
};

struct AttentionTable {
  void (*forward)(float* out, float* lse, const float* qkv, const int32_t* first_key, const AttentionShape& shape,
                  float scale, bool bf16);
  void (*backward)(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                   const int32_t* first_key, const AttentionShape& shape, float scale, bool bf16);
  void (*cached)(float* out, float* key_cache, float* value_cache, const float* qkv, const int32_t* slots,
                 const int32_t* positions, const AttentionShape& shape, int64_t cache_length, float scale,
                 int64_t window);
};

// Formats of files, in the order of BLOCK_FORMATS (src/tensor/block-format.ts); the first ones can be written, too.
struct BlockLayout {
  int weights, bytes;
};
constexpr BlockLayout block_layouts[] = {{1, 4},   {1, 2},   {1, 2},     {32, 34},   {32, 18},   {32, 20}, {32, 22},
                                         {32, 24}, {256, 144}, {256, 210}, {256, 176}, {256, 84}, {256, 110}};
constexpr int num_quantizable_formats = 10;

struct BlocksTable {
  // Whether the blocks stand for x; `count` blocks.
  bool (*quantize)(int format, uint8_t* blocks, const float* x, int64_t count);
  void (*dequantize)(int format, float* y, const uint8_t* blocks, int64_t count);
};

struct KernelTable {
  const char* name;
  bool fast_bf16;
  double (*measure_flops)(bool bf16, double milliseconds);  // of all threads together
  double (*measure_read)(double milliseconds);              // bytes per second, of all threads together
  MatrixTable matrix;
  AttentionTable attention;
  ElementwiseTable elementwise;
  NormTable norm;
  RopeTable rope;
  GluTable glu;
  EmbeddingTable embedding;
  RouterTable router;
  DispatchTable dispatch;
  LossTable loss;
  OptimizerTable optimizer;
  BlocksTable blocks;
};

// Tables of the instruction sets; a table may only be used when it is built in and the processor supports it.
namespace isa_baseline { void fill_table(KernelTable&); }
#if defined(__x86_64__)
namespace isa_avx2 { void fill_table(KernelTable&); }
namespace isa_avx512 { void fill_table(KernelTable&); }
namespace isa_avx512bf16 { void fill_table(KernelTable&); }
#endif
