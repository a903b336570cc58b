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
    bool mapped; /* pages of a file; false: memory of somebody else, which is neither unmapped nor let go */
};

/* Maps a whole regular file read-only. Errors name the path and the reason. */
qn_status qn_file_map(const char *path, struct qn_file_map *map) QN_MUST_USE;
/* The same for a file named by another one: `relative` must be a relative path without "..", and what it names must lie
 * in `folder` (NULL or "": the current one) when all links are resolved. QN_INVALID_FILE otherwise. */
qn_status qn_file_map_beneath(const char *folder, const char *relative, struct qn_file_map *map) QN_MUST_USE;
void qn_file_unmap(struct qn_file_map *map);
/* Hints on the pages of a range: they will be needed soon (read ahead) / they are needed now (one call takes less time
 * than a fault for every few pages, and what fetches ahead stops at pages that are not there) / they may go. Nothing is
 * done to memory of somebody else. */
void qn_file_map_will_need(const struct qn_file_map *map, uint64_t offset, uint64_t size);
void qn_file_map_read_in(const struct qn_file_map *map, uint64_t offset, uint64_t size);
void qn_file_map_drop(const struct qn_file_map *map, uint64_t offset, uint64_t size);
bool qn_file_exists(const char *path);
bool qn_folder_exists(const char *path);
qn_status qn_folder_create(const char *path) QN_MUST_USE; /* one that exists is fine */
void qn_file_remove(const char *path);                    /* if it is there */
/* Size and time of the last change, in nanoseconds; zero both when there is no such file. */
void qn_file_stamp(const char *path, uint64_t *size, int64_t *changed_ns);
bool qn_file_same(const char *a, const char *b); /* both exist and are one file, whatever the paths */

/* Writes to "<path>.tmp-<pid>" beside the target; commit syncs and renames, so the target is never half-written. */
struct qn_file_writer;
qn_status qn_file_writer_open(const char *path, struct qn_file_writer **out) QN_MUST_USE;
/* The same, to "<path>.part", which outlives an interrupted program: its first `keep` bytes stay (a shorter file starts
 * anew: *kept is 0 then), and as many of the bytes written next are left out, since they are there. An error while
 * another process writes that file. */
qn_status qn_file_writer_open_part(const char *path, uint64_t keep, struct qn_file_writer **out,
                                   uint64_t *kept) QN_MUST_USE;
/* Passes over `size` bytes of those kept without having them at hand; false (and nothing done) when fewer are left. */
bool qn_file_writer_skip(struct qn_file_writer *writer, uint64_t size);
/* Brings everything written so far to the disk. */
qn_status qn_file_writer_sync(struct qn_file_writer *writer) QN_MUST_USE;
/* Closes the file and leaves it where it is, to be gone on with. */
void qn_file_writer_leave(struct qn_file_writer *writer);
qn_status qn_file_writer_write(struct qn_file_writer *writer, const void *data, size_t size) QN_MUST_USE;
qn_status qn_file_writer_commit(struct qn_file_writer *writer) QN_MUST_USE; /* frees the writer in any case */
void qn_file_writer_discard(struct qn_file_writer *writer);                 /* removes the temporary file; NULL ok */

#endif
