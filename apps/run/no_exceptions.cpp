// What the standard library calls when it would throw: memory ran out, or a mistake of ours. The
// static program ends instead, and needs no unwinder.
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace {

[[noreturn]] void give_up(const char* why) {
  constexpr char kName[] = "edgewise-run: ";
  static_cast<void>(!::write(STDERR_FILENO, kName, sizeof(kName) - 1));
  static_cast<void>(!::write(STDERR_FILENO, why, std::strlen(why)));
  static_cast<void>(!::write(STDERR_FILENO, "\n", 1));
  std::_Exit(4);
}

void* allocate(std::size_t bytes, std::size_t alignment) {
  void* memory = nullptr;
  if (::posix_memalign(&memory, alignment, bytes) != 0) give_up("out of memory");
  return memory;
}

}  // namespace

namespace std {

void __throw_length_error(const char* why) { give_up(why); }
void __throw_logic_error(const char* why) { give_up(why); }
void __throw_out_of_range(const char* why) { give_up(why); }
void __throw_out_of_range_fmt(const char* why, ...) { give_up(why); }
void __throw_invalid_argument(const char* why) { give_up(why); }
void __throw_bad_alloc() { give_up("out of memory"); }
void __throw_bad_array_new_length() { give_up("out of memory"); }
void __throw_bad_function_call() { give_up("a call of nothing"); }
void __throw_system_error(int) { give_up("the system refused a thread"); }
// Asked, without type information, whether a shared object lies beside its count; the standard
// library's would bring its exceptions along.
bool _Sp_make_shared_tag::_S_eq(const type_info&) noexcept { return false; }
void terminate() noexcept { give_up("a call that must not fail failed"); }

}  // namespace std

// What objects of the standard library that were compiled with exceptions refer to. Nothing is ever
// thrown, so nothing calls these; with them the linker leaves the unwinder out.
extern "C" {
void __gxx_personality_v0() { give_up("an exception"); }
void _Unwind_Resume() { give_up("an exception"); }
void* __cxa_begin_catch(void*) noexcept { give_up("an exception"); }
void __cxa_rethrow() { give_up("an exception"); }
void __cxa_end_catch() { give_up("an exception"); }

// Initialisation of a static variable of a function, once: this program has one thread.
int __cxa_guard_acquire(unsigned char* is_done) { return *is_done == 0 ? 1 : 0; }
void __cxa_guard_release(unsigned char* is_done) { *is_done = 1; }
void __cxa_guard_abort(unsigned char*) {}
}

void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
