# ew_module(NAME DEPENDS a b LIBRARIES x y)
# Static library edgewise_NAME from src/NAME/**.cpp, plus the facets of operators that belong to it:
# a file src/ops/OP/OP_<suffix>.cpp goes to the module that owns the suffix (style: an operator is
# one folder). Files *_test.cpp become the test program NAME_test.
# A file named like its folder is the operator itself, whatever it ends in
# (max_pool_grad/max_pool_grad.cpp beside max_pool/max_pool_grad.cpp).
set(EW_FACET_train grad)
set(EW_FACET_runtime cpu)
set(EW_FACET_codegen c rtl)
set(EW_FACET_formats io)

# Splits operator sources whose names end in one of the regex `suffixes` into facets and the rest.
function(ew_split_facets suffixes sources facets_out rest_out)
  set(facets "")
  set(rest "")
  foreach(source ${sources})
    get_filename_component(base ${source} NAME_WE)
    get_filename_component(folder ${source} DIRECTORY)
    get_filename_component(folder ${folder} NAME)
    if(base MATCHES "_(${suffixes})$" AND NOT base STREQUAL folder)
      list(APPEND facets ${source})
    else()
      list(APPEND rest ${source})
    endif()
  endforeach()
  set(${facets_out} ${facets} PARENT_SCOPE)
  set(${rest_out} ${rest} PARENT_SCOPE)
endfunction()

# Kernels are compiled for speed, but under sanitizers, where that takes minutes a file.
set(EW_KERNEL_OPTIMISATION -O3)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(EW_KERNEL_OPTIMISATION -O1)
endif()

function(ew_module name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "/plugin/")
  if(name STREQUAL "ops")
    ew_split_facets("grad|cpu|c|rtl|io" "${sources}" facets sources)
    # Tests of operators run every facet, so they link against the modules above: see tests/.
    set(tests "")
  endif()
  foreach(suffix ${EW_FACET_${name}})
    file(GLOB candidates CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*/*_${suffix}.cpp)
    ew_split_facets(${suffix} "${candidates}" facets rest)
    list(APPEND sources ${facets})
  endforeach()
  ew_drop_operators(sources)
  # One kernel source is compiled once per CPU target; the suffix names the target. Multiplications
  # and additions fuse only where the source says so, so that no compiler changes a result.
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(FILTER sources EXCLUDE REGEX "_(vnni|avxvnni|avx512|avx2)\\.cpp$")
  endif()
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    list(FILTER sources EXCLUDE REGEX "_neon(_dotprod|_i8mm)?\\.cpp$")
  endif()
  ew_drop_kernels(sources)
  foreach(source ${sources})
    if(source MATCHES "_avx512\\.cpp$")
      # -Wno-uninitialized: GCC 12's own intrinsics start from undefined vectors.
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
        "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx2;-mfma;${EW_KERNEL_OPTIMISATION};-fno-math-errno;-ffp-contract=off;-Wno-uninitialized")
    elseif(source MATCHES "_vnni\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
        "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-mavx2;-mfma;${EW_KERNEL_OPTIMISATION};-fno-math-errno;-ffp-contract=off;-Wno-uninitialized")
    elseif(source MATCHES "_avxvnni\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
        "-mavx2;-mfma;-mf16c;-mavxvnni;${EW_KERNEL_OPTIMISATION};-fno-math-errno;-ffp-contract=off")
    elseif(source MATCHES "_avx2\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
        "-mavx2;-mfma;-mf16c;${EW_KERNEL_OPTIMISATION};-fno-math-errno;-ffp-contract=off")
    elseif(source MATCHES "_neon(_dotprod|_i8mm)?\\.cpp$")
      # GCC 12 would load a tile's operands so early that its sums do not stay in registers.
      set(options "${EW_KERNEL_OPTIMISATION};-fno-math-errno;-ffp-contract=off;-fno-schedule-insns")
      if(source MATCHES "_i8mm\\.cpp$")
        list(APPEND options "-march=armv8.2-a+dotprod+i8mm")
      elseif(source MATCHES "_dotprod\\.cpp$")
        list(APPEND options "-march=armv8.2-a+dotprod")
      endif()
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${options}")
    elseif(source MATCHES "_portable\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${EW_KERNEL_OPTIMISATION};-fno-math-errno;-ffp-contract=off")
    endif()
  endforeach()
  add_library(edgewise_${name} STATIC ${sources})
  target_include_directories(edgewise_${name} PUBLIC
    "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src;${CMAKE_SOURCE_DIR}/include>" $<INSTALL_INTERFACE:include>)
  # Of the installed library one target is for others: edgewise::edgewise.
  set_target_properties(edgewise_${name} PROPERTIES EXPORT_NAME ${name})
  if(NOT EW_RUNTIME_ONLY)
    install(TARGETS edgewise_${name} EXPORT edgewise ARCHIVE DESTINATION lib)
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND edgewise_)
  target_link_libraries(edgewise_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_LIBRARIES})
  ew_warnings(edgewise_${name})
  if(EW_BUILD_TESTS AND tests)
    ew_test(${name}_test SOURCES ${tests} LINK edgewise_${name})
  endif()
endfunction()

# ew_plugin(NAME SOURCES a.cpp LIBRARIES x INCLUDES dir FOR module)
# libedgewise_NAME.so in EW_PLUGIN_DIRECTORY: an adapter of a heavy library, which the module loads on
# first use (base/plugin.h). Sources lie in the module's plugin/ folder.
function(ew_plugin name)
  cmake_parse_arguments(ARG "" "FOR" "SOURCES;LIBRARIES;INCLUDES" ${ARGN})
  add_library(edgewise_plugin_${name} MODULE ${ARG_SOURCES})
  set_target_properties(edgewise_plugin_${name} PROPERTIES
    OUTPUT_NAME edgewise_${name}
    LIBRARY_OUTPUT_DIRECTORY ${EW_PLUGIN_DIRECTORY}
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  target_link_options(edgewise_plugin_${name} PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed)
  target_include_directories(edgewise_plugin_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  target_include_directories(edgewise_plugin_${name} SYSTEM PRIVATE ${ARG_INCLUDES})
  target_link_libraries(edgewise_plugin_${name} PRIVATE ${ARG_LIBRARIES})
  ew_warnings(edgewise_plugin_${name})
  add_dependencies(edgewise_${ARG_FOR} edgewise_plugin_${name})
  install(TARGETS edgewise_plugin_${name} LIBRARY DESTINATION lib/edgewise)
endfunction()

# ew_test(NAME SOURCES a.cpp LINK lib LABEL fast|full|external): one doctest program, one ctest entry,
# which also has the label "unit". The target unit_tests builds all of them and nothing else.
add_custom_target(unit_tests)
function(ew_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL fast)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} edgewise_testing)
  ew_warnings(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL};unit" TIMEOUT 600)
  add_dependencies(unit_tests ${name})
endfunction()
