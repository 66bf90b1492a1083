// The addon: `instructionSets()` names what this processor runs of the sets built in (WITH_<SET>), best last; `create(name)` makes an object with the methods
// of all families, bound to the kernels of that set. Nothing else is kept, so any number of Node threads may load it.
#include <climits>
#include <exception>

#include "arguments.h"
#include "memory.h"
#include "pool.h"

namespace {

struct Tables {
  KernelTable list[4];
  int count = 0;
};

const Tables& tables() {
  static const Tables* instance = [] {
    auto* t = new Tables;
    isa_baseline::fill_table(t->list[t->count++]);
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
#if defined(WITH_AVX2)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) isa_avx2::fill_table(t->list[t->count++]);
#endif
#if defined(WITH_AVX512)
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (avx512) isa_avx512::fill_table(t->list[t->count++]);
#endif
#if defined(WITH_AVX512BF16)
    if (avx512 && __builtin_cpu_supports("avx512bf16")) isa_avx512bf16::fill_table(t->list[t->count++]);
#endif
    return t;
  }();
  return *instance;
}

struct Bound {
  const NamedMethod* method;
  const KernelTable* table;
};

napi_value call(napi_env env, napi_callback_info info) {
  void* data;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const Bound& bound = *static_cast<Bound*>(data);
  const auto refuse = [&](const char* code, const char* message) {
    napi_throw_error(env, code, (std::string(bound.method->name) + ": " + message).c_str());
    return nullptr;
  };
  try {
    Arguments arguments(env, info);
    return bound.method->method(arguments, *bound.table);
  } catch (const ArgumentError& error) {
    return refuse("kernel_arguments_invalid", error.what());
  } catch (const std::exception& error) {
    return refuse("kernel_memory_exhausted", error.what());
  }
}

napi_value threads(Arguments& a, const KernelTable&) { return a.result(pool::threads()); }

napi_value set_threads(Arguments& a, const KernelTable&) {
  const Size threads = a.size(0, "threads");
  pool::set_threads(threads < INT_MAX ? static_cast<int>(threads) : INT_MAX);
  return nullptr;
}

void free_buffer(napi_env env, void* address, void* hint) {
  const size_t size_bytes = reinterpret_cast<size_t>(hint);
  int64_t ignored;
  napi_adjust_external_memory(env, -static_cast<int64_t>(size_bytes), &ignored);
  memory::release(address, size_bytes);
}

napi_value allocate(Arguments& a, const KernelTable&) {
  const size_t size_bytes = static_cast<size_t>(a.size(0, "sizeBytes"));
  void* address = memory::allocate(size_bytes);
  if (!address) throw std::runtime_error("no memory for " + std::to_string(size_bytes) + " bytes");
  napi_value buffer;
  if (napi_create_external_arraybuffer(a.env, address, size_bytes, free_buffer,
                                       reinterpret_cast<void*>(size_bytes), &buffer) != napi_ok) {
    memory::release(address, size_bytes);
    throw std::runtime_error("external buffers are not allowed here");
  }
  int64_t ignored;
  napi_adjust_external_memory(a.env, static_cast<int64_t>(size_bytes), &ignored);
  return buffer;
}

napi_value has_fast_bf16(Arguments& a, const KernelTable& table) {
  napi_value result;
  napi_get_boolean(a.env, table.fast_bf16, &result);
  return result;
}

// At most a minute; nothing else runs meanwhile.
double milliseconds_at(const Arguments& a, int index) {
  const double milliseconds = a.number(index, "milliseconds");
  if (!(milliseconds >= 0 && milliseconds <= 60000)) a.fail("milliseconds must be from 0 to 60000");
  return milliseconds;
}

napi_value measure_flops(Arguments& a, const KernelTable& table) {
  return a.result(table.measure_flops(a.flag(0), milliseconds_at(a, 1)));
}

napi_value measure_read(Arguments& a, const KernelTable& table) {
  const double rate = table.measure_read(milliseconds_at(a, 0));
  if (rate == 0) throw std::runtime_error("no memory for regions larger than the caches");
  return a.result(rate);
}

const NamedMethod engine_methods[] = {{"threads", threads},
                                      {"setThreads", set_threads},
                                      {"allocate", allocate},
                                      {"hasFastBf16", has_fast_bf16},
                                      {"measureFlops", measure_flops},
                                      {"measureRead", measure_read},
                                      {nullptr, nullptr}};

const NamedMethod* const families[] = {
    engine_methods,    matrix_methods, attention_methods, elementwise_methods, norm_methods, rope_methods,
    glu_methods,       embedding_methods, router_methods, dispatch_methods,    loss_methods, optimizer_methods,
    block_methods,     checksum_methods};

void free_bound(napi_env, void* data, void*) { delete static_cast<Bound*>(data); }

napi_value instruction_sets(napi_env env, napi_callback_info) {
  napi_value names;
  napi_create_array(env, &names);
  for (int i = 0; i < tables().count; i++) {
    napi_value name;
    napi_create_string_utf8(env, tables().list[i].name, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, names, i, name);
  }
  return names;
}

napi_value create(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  char name[32] = {};
  napi_get_value_string_utf8(env, argument, name, sizeof name, nullptr);
  const KernelTable* table = nullptr;
  for (int i = 0; i < tables().count; i++)
    if (std::string(name) == tables().list[i].name) table = &tables().list[i];
  if (!table) {
    napi_throw_error(env, nullptr, (std::string("create: no such instruction set here: ") + name).c_str());
    return nullptr;
  }
  napi_value object;
  napi_create_object(env, &object);
  for (const NamedMethod* family : families)
    for (const NamedMethod* method = family; method->name; method++) {
      auto* bound = new Bound{method, table};
      napi_value function;
      napi_create_function(env, method->name, NAPI_AUTO_LENGTH, call, bound, &function);
      napi_add_finalizer(env, function, bound, free_bound, nullptr, nullptr);
      napi_set_named_property(env, object, method->name, function);
    }
  return object;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "instructionSets", NAPI_AUTO_LENGTH, instruction_sets, nullptr, &function);
  napi_set_named_property(env, exports, "instructionSets", function);
  napi_create_function(env, "create", NAPI_AUTO_LENGTH, create, nullptr, &function);
  napi_set_named_property(env, exports, "create", function);
  return exports;
}
