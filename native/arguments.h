// Arguments of a call from JavaScript, checked one by one: a wrong type, size or length throws an Error with a code
// (docs/errors.md) that names the argument. A family's bindings are a list of methods; each reads its arguments, then calls
// a kernel of the table it is given. Kernels trust their arguments, so lengths are compared as `Size`s only.
#pragma once
#include <node_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels.h"

// A mistake of the caller.
struct ArgumentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A count of things: a whole number from 0 to 2^53 - 1. Sums and products of Sizes are Sizes or throw, so none wraps around
// to a small number that a short array would fit. A plain integer becomes one only where that is written down.
class Size {
 public:
  static constexpr int64_t most = 9007199254740991;
  explicit constexpr Size(int64_t value) : value_(value) {}
  constexpr operator int64_t() const { return value_; }

  friend Size operator+(Size a, Size b) { return Size(within(a.value_ + b.value_, false)); }
  friend Size operator*(Size a, Size b) {
    int64_t product;
    const bool overflow = __builtin_mul_overflow(a.value_, b.value_, &product);
    return Size(within(product, overflow));
  }

 private:
  static int64_t within(int64_t value, bool overflow) {
    if (overflow || value > most) throw ArgumentError("the sizes together exceed 2^53 - 1");
    return value;
  }
  int64_t value_;
};

class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info);

  // Typed arrays; `length` is the number of elements the sizes demand. Without it any will do: see length().
  float* f32(int index, const char* name);
  float* f32(int index, const char* name, Size length);
  float* f32_or_null(int index, const char* name, Size length);
  int32_t* i32(int index, const char* name, Size length);
  uint8_t* u8(int index, const char* name);
  uint8_t* u8_or_null(int index, const char* name, Size length);
  Size length(int index) const;

  // offsets[groups + 1], ascending from 0.
  int32_t* offsets(int index, Size groups);

  // A whole number from 0 to 2^53 - 1 or to `most`, a number, a boolean (absent: false).
  Size size(int index, const char* name, int64_t most = Size::most) const;
  double number(int index, const char* name) const;
  bool flag(int index) const;

  napi_value result(double value) const;
  [[noreturn]] void fail(const std::string& message) const;

  napi_env env;

 private:
  static constexpr int max_count = 16;
  void* typed_array(int index, const char* name, napi_typedarray_type type, const char* type_name, const Size* length);
  bool is_null(int index) const;

  napi_value values_[max_count];
};

using Method = napi_value (*)(Arguments& arguments, const KernelTable& table);
struct NamedMethod {
  const char* name;
  Method method;
};

// One list per family, ended by {nullptr, nullptr}; listed in binding.cc.
extern const NamedMethod matrix_methods[];
extern const NamedMethod block_methods[];
extern const NamedMethod attention_methods[];
extern const NamedMethod elementwise_methods[];
extern const NamedMethod norm_methods[];
extern const NamedMethod rope_methods[];
extern const NamedMethod glu_methods[];
extern const NamedMethod embedding_methods[];
extern const NamedMethod router_methods[];
extern const NamedMethod dispatch_methods[];
extern const NamedMethod loss_methods[];
extern const NamedMethod optimizer_methods[];
extern const NamedMethod checksum_methods[];
