#pragma once
// Whether this build carries a sanitizer that needs all address space for its shadow memory.

// GCC defines macros, clang has features.
#if defined(__has_feature)
#define EW_HAS_FEATURE(name) __has_feature(name)
#else
#define EW_HAS_FEATURE(name) 0
#endif

namespace ew {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    EW_HAS_FEATURE(address_sanitizer) || EW_HAS_FEATURE(thread_sanitizer)
/// With AddressSanitizer or ThreadSanitizer, address space cannot be limited.
constexpr bool kHasShadowMemory = true;
#else
constexpr bool kHasShadowMemory = false;
#endif

}  // namespace ew

#undef EW_HAS_FEATURE
