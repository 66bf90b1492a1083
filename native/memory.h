// Memory of tensors (huge pages, zeroed) and scratch memory of kernels (one growing block per thread, kept).
#pragma once
#include <cstddef>

namespace memory {

// Zeroed; aligned to 2 MiB from that size on, else to a page. Null when the system has no more.
void* allocate(size_t size_bytes);
void release(void* address, size_t size_bytes);

// Scratch of the calling thread, aligned to 64 bytes, contents undefined; valid until the next call for the same slot.
// `shared` is for what the pieces of one operation read together, the others for what one piece needs.
enum class Slot { shared, a, b, c };
void* scratch(Slot slot, size_t size_bytes);

}  // namespace memory
