# What is bought, not built: found through pkg-config, named in one place.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)

# The library.
add_library(quern_libraries INTERFACE)
target_link_libraries(quern_libraries INTERFACE PkgConfig::PCRE2 PkgConfig::UTF8PROC PkgConfig::JPEG PkgConfig::PNG PkgConfig::ZLIB
                                                Threads::Threads ${CMAKE_DL_LIBS} m)

# Kinds of pictures that a build may do without: ImageDecoder and --input then say so.
set(quern_optional_modules "")
set(quern_optional_packages "")
foreach(kind WEBP:libwebp TIFF:libtiff-4>=4.5 JPEG2000:libopenjp2)
  string(REPLACE ":" ";" kind ${kind})
  list(GET kind 0 name)
  list(GET kind 1 module)
  pkg_check_modules(${name} IMPORTED_TARGET ${module})
  if(${name}_FOUND)
    string(REGEX REPLACE ">.*" "" package ${module})
    target_link_libraries(quern_libraries INTERFACE PkgConfig::${name})
    target_compile_definitions(quern_libraries INTERFACE $<BUILD_INTERFACE:QN_HAVE_${name}=1>)
    string(APPEND quern_optional_modules "pkg_check_modules(${name} REQUIRED QUIET IMPORTED_TARGET ${module})\n")
    string(APPEND quern_optional_packages " ${package}")
  endif()
endforeach()

# The command's line editing.
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
add_library(quern_line_editing INTERFACE)
target_link_libraries(quern_line_editing INTERFACE PkgConfig::EDIT)

if(QUERN_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
