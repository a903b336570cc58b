# Installation: library, public headers, command, and the files by which CMake and pkg-config find them.

include(CMakePackageConfigHelpers)

install(TARGETS libquern EXPORT quernTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
                                             LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(NOT BUILD_SHARED_LIBS)
  # A static library names what it links with; this target carries no file of its own.
  install(TARGETS quern_libraries EXPORT quernTargets)
endif()
if(TARGET quern)
  if(BUILD_SHARED_LIBS)
    file(RELATIVE_PATH to_libraries ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(quern PROPERTIES INSTALL_RPATH "$ORIGIN/${to_libraries}")
  endif()
  install(TARGETS quern RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/quern DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.def")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/quern)
install(EXPORT quernTargets NAMESPACE quern:: DESTINATION ${package_dir})
configure_package_config_file(cmake/quernConfig.cmake.in ${PROJECT_BINARY_DIR}/quernConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/quernConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/quernConfig.cmake ${PROJECT_BINARY_DIR}/quernConfigVersion.cmake
        DESTINATION ${package_dir})

# Only a shared library brings what it links with; with the archive, programs need it without asking for --static.
if(BUILD_SHARED_LIBS)
  set(quern_private ".private")
  set(quern_static_libraries "")
else()
  set(quern_private "")
  set(quern_static_libraries " -lpthread -ldl -lm")
endif()
configure_file(cmake/quern.pc.in ${PROJECT_BINARY_DIR}/quern.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/quern.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
