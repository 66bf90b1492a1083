#include "memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace memory {
namespace {

// Under the address sanitizer every block is an allocation of its own and of the exact size, and scratch is new and full of
// NaN at every call: so it sees what reaches over the end, and tests see what reads values that nobody wrote.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

constexpr size_t page = 4096;
constexpr size_t huge_page = size_t{2} << 20;

size_t round_up(size_t size_bytes) {
  const size_t unit = size_bytes >= huge_page ? huge_page : page;
  return (size_bytes + unit - 1) / unit * unit;
}

struct Block {
  void* address = nullptr;
  size_t size_bytes = 0;
  ~Block() {
    if (address) release(address, size_bytes);
  }
};

}  // namespace

void* allocate(size_t size_bytes) {
  if (sanitized) {
    void* block = nullptr;
    if (posix_memalign(&block, 64, size_bytes ? size_bytes : 1) != 0) return nullptr;
    return memset(block, 0, size_bytes);
  }
  const size_t size = round_up(size_bytes ? size_bytes : 1);
  const size_t slack = size >= huge_page ? huge_page : 0;
  void* mapped = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  if (!slack) return mapped;
  const uintptr_t start = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t aligned = (start + huge_page - 1) / huge_page * huge_page;
  if (aligned > start) munmap(mapped, aligned - start);
  const size_t behind = start + slack - aligned;
  if (behind) munmap(reinterpret_cast<void*>(aligned + size), behind);
#if defined(MADV_HUGEPAGE)
  madvise(reinterpret_cast<void*>(aligned), size, MADV_HUGEPAGE);
#endif
  return reinterpret_cast<void*>(aligned);
}

void release(void* address, size_t size_bytes) {
  if (sanitized) free(address);
  else munmap(address, round_up(size_bytes ? size_bytes : 1));
}

void* scratch(Slot slot, size_t size_bytes) {
  static thread_local Block blocks[4];
  Block& block = blocks[static_cast<int>(slot)];
  if (sanitized || block.size_bytes < size_bytes || !block.address) {
    if (block.address) release(block.address, block.size_bytes);
    block.size_bytes = sanitized ? size_bytes : size_bytes + size_bytes / 4;
    block.address = allocate(block.size_bytes);
    if (!block.address) {
      block.size_bytes = 0;
      throw std::bad_alloc();
    }
    if (sanitized) memset(block.address, 0xFF, size_bytes);
  }
  return block.address;
}

}  // namespace memory
