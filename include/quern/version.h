/* The version of Quern. The build reads it from here; it stands nowhere else. */
#ifndef QUERN_VERSION_H
#define QUERN_VERSION_H

#define QUERN_VERSION_MAJOR 0
#define QUERN_VERSION_MINOR 1
#define QUERN_VERSION_PATCH 0
#define QUERN_VERSION "0.1.0"

#endif
