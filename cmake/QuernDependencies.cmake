# What is bought, not built: found through pkg-config, named in one place.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)

# The library.
add_library(quern_libraries INTERFACE)
target_link_libraries(quern_libraries INTERFACE PkgConfig::PCRE2 PkgConfig::UTF8PROC Threads::Threads ${CMAKE_DL_LIBS} m)

# The command's line editing.
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
add_library(quern_line_editing INTERFACE)
target_link_libraries(quern_line_editing INTERFACE PkgConfig::EDIT)

if(QUERN_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
