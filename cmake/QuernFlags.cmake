# Compiler flags of the project (target quern_flags), and ISA flags by file suffix (quern_isa_flags).

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer -DQN_DEBUG=1")

# Kernels write fused multiply-add where they want it; the compiler must not, or bits would differ between builds.
add_library(quern_flags INTERFACE)
target_compile_options(quern_flags INTERFACE
  -ffp-contract=off -fno-math-errno -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=
  -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
  $<$<BOOL:${QUERN_WERROR}>:-Werror>)
if(QUERN_SANITIZE)
  target_compile_options(quern_flags INTERFACE -fsanitize=${QUERN_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(quern_flags INTERFACE -fsanitize=${QUERN_SANITIZE})
endif()
if(QUERN_FUZZERS)
  target_compile_options(quern_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

set(avx2 -mavx2 -mfma -mf16c -mbmi2)
set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)
set(quern_isa_x86_64 avx2 avxvnni avx512 avx512vnni avx512vbmi avx512bf16 avx512fp16)
set(quern_isa_avx2 ${avx2})
set(quern_isa_avxvnni ${avx2} -mavxvnni)
set(quern_isa_avx512 ${avx512})
set(quern_isa_avx512vnni ${avx512} -mavx512vnni)
set(quern_isa_avx512vbmi ${avx512} -mavx512vnni -mavx512vbmi)
set(quern_isa_avx512bf16 ${avx512} -mavx512vnni -mavx512bf16)
set(quern_isa_avx512fp16 ${avx512} -mavx512vnni -mavx512fp16)
set(quern_isa_aarch64 neon dotprod)
set(quern_isa_neon "")
set(quern_isa_dotprod -march=armv8.2-a+dotprod)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(quern_arch x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(quern_arch aarch64)
else()
  set(quern_arch other)
endif()

# Undefined-behaviour checks in unrolled vector kernels make the compiler run for a quarter of an hour. Their plain C
# twins (*_ref.c) keep them, and the vector files keep the address checks.
if(QUERN_SANITIZE MATCHES "undefined")
  set(quern_isa_sanitize -fno-sanitize=undefined)
endif()

# Gives each `*_<isa>.c` of the list its flags, and takes files of other architectures out of the list.
function(quern_isa_flags list_name)
  set(kept "")
  foreach(source IN LISTS ${list_name})
    set(isa "")
    if(source MATCHES "_([a-z0-9]+)\\.c$")
      set(isa ${CMAKE_MATCH_1})
    endif()
    if(isa IN_LIST quern_isa_x86_64 OR isa IN_LIST quern_isa_aarch64)
      if(NOT isa IN_LIST quern_isa_${quern_arch})
        continue()
      endif()
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS ${quern_isa_${isa}} ${quern_isa_sanitize})
    endif()
    list(APPEND kept ${source})
  endforeach()
  set(${list_name} ${kept} PARENT_SCOPE)
endfunction()
