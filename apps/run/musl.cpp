// What libstdc++ of a system with glibc expects from the C library and musl does not have.

/// Zero: reference counts are atomic, as in a process that may start threads.
extern "C" const char __libc_single_threaded = 0;  // NOLINT: the name is glibc's
