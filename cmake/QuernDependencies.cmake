# What is bought, not built: found through pkg-config, named in one place.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)

# The library.
add_library(quern_libraries INTERFACE)
target_link_libraries(quern_libraries INTERFACE PkgConfig::PCRE2 PkgConfig::UTF8PROC PkgConfig::ZLIB Threads::Threads
                                                ${CMAKE_DL_LIBS} m)

# Libraries that are opened when something of them is needed (src/platform/library.h): their headers, and in
# QN_LIBRARY_<NAME> the name by which the system's loader knows them. A program that decodes no picture has none of them
# in memory.
function(quern_opened_library name module)
  pkg_check_modules(${name} ${ARGN} ${module})
  if(NOT ${name}_FOUND)
    return()
  endif()
  list(GET ${name}_LINK_LIBRARIES 0 file)
  # The leak checker takes the thread's memory of a library that is opened later for something else, once in some
  # hundred runs, and ends the process: there they are loaded with the program.
  if(QUERN_SANITIZE MATCHES "address")
    target_link_libraries(quern_opened_libraries INTERFACE "-Wl,--push-state,--no-as-needed,${file},--pop-state")
  endif()
  execute_process(COMMAND ${CMAKE_READELF} -d ${file} OUTPUT_VARIABLE dynamic ERROR_QUIET)
  if(dynamic MATCHES "SONAME[^\n]*\\[([^]]+)\\]")
    get_filename_component(file ${CMAKE_MATCH_1} NAME)
  endif()
  target_include_directories(quern_opened_libraries INTERFACE ${${name}_INCLUDE_DIRS})
  target_compile_options(quern_opened_libraries INTERFACE ${${name}_CFLAGS_OTHER})
  target_compile_definitions(quern_opened_libraries INTERFACE QN_LIBRARY_${name}="${file}")
endfunction()

add_library(quern_opened_libraries INTERFACE)
quern_opened_library(JPEG libjpeg REQUIRED)
quern_opened_library(PNG libpng REQUIRED)
# Kinds of pictures that a build may do without: ImageDecoder and --input then say so.
quern_opened_library(WEBP libwebp)
quern_opened_library(TIFF libtiff-4>=4.5)
quern_opened_library(JPEG2000 libopenjp2)

# The command's line editing.
quern_opened_library(EDIT libedit REQUIRED)

if(QUERN_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
