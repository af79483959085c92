# Warnings are errors in our own code; ew_warnings(TARGET) applies them.
function(ew_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
  # A loop that instrumentation keeps from being vectorised is no fault.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${target} PRIVATE -Wno-pass-failed)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 reports false positives of these in inlined standard containers.
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-array-bounds
                           -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict)
  endif()
endfunction()
