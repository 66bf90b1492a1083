#include "arguments.h"

#include <cmath>
#include <cstdio>

Arguments::Arguments(napi_env env, napi_callback_info info) : env(env) {
  size_t count = max_count;
  napi_get_cb_info(env, info, &count, values_, nullptr, nullptr);
}

void Arguments::fail(const std::string& message) const { throw ArgumentError(message); }

bool Arguments::is_null(int index) const {
  napi_valuetype type;
  napi_typeof(env, values_[index], &type);
  return type == napi_null || type == napi_undefined;
}

void* Arguments::typed_array(int index, const char* name, napi_typedarray_type wanted, const char* type_name,
                             const Size* length) {
  napi_typedarray_type type;
  size_t found;
  void* data;
  if (napi_get_typedarray_info(env, values_[index], &type, &found, &data, nullptr, nullptr) != napi_ok ||
      type != wanted)
    fail(std::string(name) + " must be a " + type_name);
  if (length && static_cast<int64_t>(found) != *length)
    fail(std::string(name) + " has " + std::to_string(found) + " elements, the sizes demand " + std::to_string(*length));
  return data;
}

float* Arguments::f32(int index, const char* name) {
  return static_cast<float*>(typed_array(index, name, napi_float32_array, "Float32Array", nullptr));
}
float* Arguments::f32(int index, const char* name, Size length) {
  return static_cast<float*>(typed_array(index, name, napi_float32_array, "Float32Array", &length));
}
int32_t* Arguments::i32(int index, const char* name, Size length) {
  return static_cast<int32_t*>(typed_array(index, name, napi_int32_array, "Int32Array", &length));
}
uint8_t* Arguments::u8(int index, const char* name) {
  return static_cast<uint8_t*>(typed_array(index, name, napi_uint8_array, "Uint8Array", nullptr));
}
uint8_t* Arguments::u8_or_null(int index, const char* name, Size length) {
  if (is_null(index)) return nullptr;
  return static_cast<uint8_t*>(typed_array(index, name, napi_uint8_array, "Uint8Array", &length));
}

float* Arguments::f32_or_null(int index, const char* name, Size length) {
  return is_null(index) ? nullptr : f32(index, name, length);
}

int32_t* Arguments::offsets(int index, Size groups) {
  int32_t* found = i32(index, "offsets", groups + Size(1));
  if (found[0] != 0) fail("offsets must begin with 0");
  for (int64_t g = 0; g < groups; g++)
    if (found[g + 1] < found[g]) fail("offsets must not descend");
  return found;
}

Size Arguments::length(int index) const {
  size_t found = 0;
  napi_get_typedarray_info(env, values_[index], nullptr, &found, nullptr, nullptr, nullptr);
  return Size(static_cast<int64_t>(found));
}

Size Arguments::size(int index, const char* name, int64_t most) const {
  const double value = number(index, name);
  if (!(value >= 0 && value <= static_cast<double>(most) && std::floor(value) == value)) {
    char found[32];
    std::snprintf(found, sizeof found, "%.17g", value);
    fail(std::string(name) + " must be a whole number from 0 to " + std::to_string(most) + ", found " + found);
  }
  return Size(static_cast<int64_t>(value));
}

double Arguments::number(int index, const char* name) const {
  double value;
  if (napi_get_value_double(env, values_[index], &value) != napi_ok) fail(std::string(name) + " must be a number");
  return value;
}

bool Arguments::flag(int index) const {
  bool value = false;
  napi_get_value_bool(env, values_[index], &value);
  return value;
}

napi_value Arguments::result(double value) const {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}
