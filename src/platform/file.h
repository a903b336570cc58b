/* Files: read-only maps, and writing aside with an atomic rename at the end. */
#ifndef QN_PLATFORM_FILE_H
#define QN_PLATFORM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct qn_file_map {
    const uint8_t *data; /* NULL for an empty file */
    uint64_t size;
};

/* Maps a whole regular file read-only. Errors name the path and the reason. */
qn_status qn_file_map(const char *path, struct qn_file_map *map) QN_MUST_USE;
/* The same for a file named by another one: `relative` must be a relative path without "..", and what it names must lie
 * in `folder` (NULL or "": the current one) when all links are resolved. QN_INVALID_FILE otherwise. */
qn_status qn_file_map_beneath(const char *folder, const char *relative, struct qn_file_map *map) QN_MUST_USE;
void qn_file_unmap(struct qn_file_map *map);
/* Hints: the whole map will be needed soon (read ahead) / its pages in the range may go. */
void qn_file_map_will_need(const struct qn_file_map *map, uint64_t offset, uint64_t size);
void qn_file_map_drop(const struct qn_file_map *map, uint64_t offset, uint64_t size);
bool qn_file_exists(const char *path);
bool qn_folder_exists(const char *path);
bool qn_file_same(const char *a, const char *b); /* both exist and are one file, whatever the paths */

/* Writes to "<path>.tmp-<pid>" beside the target; commit syncs and renames, so the target is never half-written. */
struct qn_file_writer;
qn_status qn_file_writer_open(const char *path, struct qn_file_writer **out) QN_MUST_USE;
qn_status qn_file_writer_write(struct qn_file_writer *writer, const void *data, size_t size) QN_MUST_USE;
qn_status qn_file_writer_commit(struct qn_file_writer *writer) QN_MUST_USE; /* frees the writer in any case */
void qn_file_writer_discard(struct qn_file_writer *writer);                 /* removes the temporary file; NULL ok */

#endif
