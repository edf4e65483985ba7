# A room is a folder, a layer and a library target: knotwork_room(partition SOURCES ... LINKS ...).
# Headers are included from the repository root: #include "partition/graph.h".
function(knotwork_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(knotwork_${name} STATIC ${ROOM_SOURCES})
  add_library(knotwork::${name} ALIAS knotwork_${name})
  target_include_directories(knotwork_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(knotwork_${name} PUBLIC ${ROOM_LINKS} PRIVATE ${ROOM_PRIVATE_LINKS})
  knotwork_compile_options(knotwork_${name})
endfunction()

# Warnings that every target of the project is built with.
function(knotwork_compile_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                           -Wno-missing-field-initializers
                                           $<$<BOOL:${KNOTWORK_WERROR}>:-Werror>)
  # GCC 12 sees overlapping copies in "text" + std::string (GCC bug 105651).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(NOT KNOTWORK_OPENMP)
    target_compile_options(${target} PRIVATE -Wno-unknown-pragmas)
  endif()
  get_target_property(type ${target} TYPE)
  if(KNOTWORK_KEEP_MODULES AND type STREQUAL "EXECUTABLE")
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/keep_modules.cpp)
    target_link_options(${target} PRIVATE -Wl,--export-dynamic-symbol=dlclose)
  endif()
endfunction()

# What most tests include, compiled once and shared by all of their programs (the first one owns it). Test code itself is
# optimised lightly: that builds in 60 % of the time, and the rooms it calls are as fast as ever.
function(knotwork_test_code name)
  target_compile_definitions(${name} PRIVATE KNOTWORK_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                             KNOTWORK_DATA_DIR="${CMAKE_SOURCE_DIR}/../shared/data")
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  # Programs that share precompiled headers must be compiled alike: all with OpenMP, wherever they use it.
  target_link_libraries(${name} PRIVATE ${KNOTWORK_OPENMP_TARGET})
  get_property(owner GLOBAL PROPERTY knotwork_test_headers)
  if(owner)
    target_precompile_headers(${name} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${name} PRIVATE
      <gmock/gmock.h> <gtest/gtest.h> <algorithm> <cmath> <filesystem> <fstream> <functional> <map> <memory> <numeric>
      <optional> <random> <set> <span> <sstream> <stdexcept> <string> <thread> <vector>)
    set_property(GLOBAL PROPERTY knotwork_test_headers ${name})
  endif()
endfunction()

# knotwork_test(name SOURCES ... LINKS ... [LABELS ...] [AS_ONE]): a GoogleTest program whose cases become ctest cases; AS_ONE:
# the program is one of them, for such as take longer to start than to test.
function(knotwork_test name)
  cmake_parse_arguments(TEST "AS_ONE" "" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LINKS} GTest::gmock_main)
  knotwork_compile_options(${name})
  knotwork_test_code(${name})
  if(NOT TEST_LABELS)
    set(TEST_LABELS unit)
  endif()
  math(EXPR limit "300 * ${KNOTWORK_PATIENCE}")
  if(TEST_AS_ONE)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${limit})
  else()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${limit})
  endif()
endfunction()

# knotwork_mpi_test(name SOURCES ... LINKS ... RANKS 1 2 4): a GoogleTest program with its own main (see
# tests/unit/cluster/mpi_test_main.h) that runs as a whole under mpirun, once for each number of ranks: ctest cases
# name.1, name.2, ... with label mpi.
function(knotwork_mpi_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;LINKS;RANKS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LINKS} GTest::gmock GTest::gtest)
  knotwork_compile_options(${name})
  knotwork_test_code(${name})
  math(EXPR limit "120 * ${KNOTWORK_PATIENCE}")
  foreach(ranks IN LISTS TEST_RANKS)
    add_test(NAME ${name}.${ranks} COMMAND ${MPIEXEC_EXECUTABLE} --allow-run-as-root --oversubscribe
                                           ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:${name}>)
    # Ranks share the cores of a small machine: they must not spin while they wait.
    set_tests_properties(${name}.${ranks} PROPERTIES LABELS mpi TIMEOUT ${limit} PROCESSORS ${ranks}
                         ENVIRONMENT "OMP_WAIT_POLICY=passive;OMPI_MCA_mpi_yield_when_idle=1;OMPI_MCA_hwloc_base_binding_policy=none")
  endforeach()
endfunction()

# knotwork_benchmark(name SOURCES ... LINKS ...): a Google Benchmark program; run by scripts/bench.sh, never by ctest.
function(knotwork_benchmark name)
  cmake_parse_arguments(BENCH "" "" "SOURCES;LINKS" ${ARGN})
  if(KNOTWORK_BENCHMARKS)
    add_executable(${name} ${BENCH_SOURCES})
    target_link_libraries(${name} PRIVATE ${BENCH_LINKS} benchmark::benchmark)
    knotwork_compile_options(${name})
  endif()
endfunction()
