# Tests (src/**/*_test.c beside their source, test/*_test.c for what spans files), fuzz targets, examples, benchmarks.

# What all of these may see: the insides of the library and the test helpers.
add_library(quern_internal INTERFACE)
target_include_directories(quern_internal INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/test)
target_compile_definitions(quern_internal INTERFACE QN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(quern_internal INTERFACE libquern quern_flags quern_libraries)

file(GLOB support_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} test/support/*.c test/conformance/*.c)
list(FILTER support_sources EXCLUDE REGEX "_test\\.c$")
add_library(quern_test_support STATIC ${support_sources})
target_link_libraries(quern_test_support PUBLIC quern_internal)

# The command as tests start it; in a cross build, a script that calls the emulator.
set(quern_command $<TARGET_FILE:quern>)
if(CMAKE_CROSSCOMPILING_EMULATOR)
  set(quern_command ${PROJECT_BINARY_DIR}/tests/quern-emulated)
  file(WRITE ${quern_command} "#!/bin/sh\nexec ${CMAKE_CROSSCOMPILING_EMULATOR} ${PROJECT_BINARY_DIR}/quern \"$@\"\n")
  file(CHMOD ${quern_command} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
endif()

# A program that runs no test has failed. tools/run-tests also catches one that prints nothing at all.
function(quern_add_test name source)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE quern_test_support PkgConfig::CMOCKA)
  # Less optimised: it compiles faster, and what it tests lies in the library.
  set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS -O1)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "Running 0 test" TIMEOUT 600)
  file(STRINGS ${source} reads_conformance_data REGEX "qn_test_conformance" LIMIT_COUNT 1)
  if(reads_conformance_data)
    set_tests_properties(${name} PROPERTIES LABELS conformance)
  endif()
  if(TARGET quern)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "QUERN_COMMAND=${quern_command}")
  endif()
endfunction()

file(GLOB_RECURSE test_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} src/*_test.c test/*_test.c)
foreach(source IN LISTS test_sources)
  get_filename_component(name ${source} NAME_WE)
  quern_add_test(${name} ${source})
endforeach()

# fuzz/fuzz_<name>.c defines LLVMFuzzerTestOneInput. With QUERN_FUZZERS it becomes a libFuzzer binary; in every other
# build a test that replays fuzz/corpus/<name>/.
file(GLOB fuzz_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} fuzz/fuzz_*.c)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" short ${name})
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  target_link_libraries(${name} PRIVATE quern_test_support)
  set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS -Wno-missing-prototypes) # libFuzzer has no header
  if(QUERN_FUZZERS)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE fuzz/replay_main.c)
    add_test(NAME ${name} COMMAND ${name} ${PROJECT_SOURCE_DIR}/fuzz/corpus/${short})
    set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  endif()
endforeach()

# Examples see the public headers alone, as a user's program does.
file(GLOB example_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} examples/*.c)
foreach(source IN LISTS example_sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(example_${name} ${source})
  set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
                                                   RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
  target_link_libraries(example_${name} PRIVATE libquern quern_flags)
endforeach()

# A library that programs open while they run; it finds the functions it calls in the program.
add_library(example_extension MODULE examples/extension/extension.c)
target_include_directories(example_extension PRIVATE include)
target_link_libraries(example_extension PRIVATE quern_flags)
set_target_properties(example_extension PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
if(TARGET extension_test)
  add_dependencies(extension_test example_extension)
  set_target_properties(extension_test PROPERTIES ENABLE_EXPORTS ON)
  target_compile_definitions(extension_test PRIVATE QN_TEST_EXTENSION="$<TARGET_FILE:example_extension>")
endif()

file(GLOB bench_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} bench/*.c)
foreach(source IN LISTS bench_sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
  target_link_libraries(${name} PRIVATE quern_test_support)
endforeach()
