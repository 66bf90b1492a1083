// Arguments of a call from JavaScript, checked one by one: a wrong type or length throws an Error that names the argument.
// A family's bindings are a list of methods; each reads its arguments, then calls a kernel of the table it is given.
#pragma once
#include <node_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels.h"

class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info, const char* method);

  // Typed arrays; `length` is the number of elements the sizes demand, `any` accepts all and is read back by length().
  static constexpr int64_t any = -1;
  float* f32(int index, const char* name, int64_t length);
  int32_t* i32(int index, const char* name, int64_t length);
  uint8_t* u8_or_null(int index, const char* name, int64_t length);
  float* f32_or_null(int index, const char* name, int64_t length);
  int64_t length(int index) const;

  // offsets[groups + 1], ascending from 0; `rows` receives the last.
  int32_t* offsets(int index, int64_t groups, int64_t* rows);

  // A whole number >= 0, a number, a boolean (absent: false).
  int64_t size(int index, const char* name) const;
  double number(int index, const char* name) const;
  bool flag(int index) const;

  napi_value result(double value) const;
  [[noreturn]] void fail(const std::string& message) const;

  napi_env env;

 private:
  static constexpr int max_count = 16;
  void* typed_array(int index, const char* name, napi_typedarray_type type, const char* type_name, int64_t length);
  bool is_null(int index) const;

  const char* method_;
  napi_value values_[max_count];
};

using Method = napi_value (*)(Arguments& arguments, const KernelTable& table);
struct NamedMethod {
  const char* name;
  Method method;
};

// One list per family, ended by {nullptr, nullptr}; listed in binding.cc.
extern const NamedMethod matrix_methods[];
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
