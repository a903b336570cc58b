#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- maps ----------------------------------------------------------------------------------------------------- */

static qn_status map_descriptor(const char *path, int fd, struct qn_file_map *map)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return QN_ERROR(QN_IO, "%s: cannot ask for its size: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return QN_ERROR(QN_INVALID_ARGUMENT, "%s: %s, expected a regular file", path,
                        S_ISDIR(st.st_mode) ? "is a folder" : "is not a regular file");
    if (st.st_size == 0)
        return NULL; /* nothing to map: the empty map */
    if ((uint64_t)st.st_size > SIZE_MAX)
        return QN_ERROR(QN_OUT_OF_RANGE, "%s: %lld bytes do not fit the address space", path, (long long)st.st_size);
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return QN_ERROR(QN_IO, "%s: cannot map %lld bytes: %s", path, (long long)st.st_size, strerror(errno));
    *map = (struct qn_file_map){data, (uint64_t)st.st_size, true};
    return NULL;
}

qn_status qn_file_map(const char *path, struct qn_file_map *map)
{
    *map = (struct qn_file_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return QN_ERROR(errno == ENOENT ? QN_NOT_FOUND : QN_IO, "%s: cannot open: %s", path, strerror(errno));
    qn_status status = map_descriptor(path, fd, map);
    close(fd);
    return status;
}

static bool climbs(const char *path)
{
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (at[0] == '.' && at[1] == '.' && (at[2] == '/' || at[2] == 0))
            return true;
    }
    return false;
}

/* Opens what `whole` names when it lies under `root`; both without links. */
static qn_status open_beneath(const char *root, const char *whole, const char *path, int *fd)
{
    size_t size = strlen(root);
    bool inside = strncmp(root, whole, size) == 0 && (whole[size] == '/' || (size && root[size - 1] == '/'));
    if (!inside)
        return QN_ERROR(QN_INVALID_FILE, "%s: a link leads out of the folder, to %s", path, whole);
    *fd = open(whole, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a pipe must not make us wait */
    if (*fd < 0)
        return QN_ERROR(QN_IO, "%s: cannot open: %s", path, strerror(errno));
    return NULL;
}

qn_status qn_file_map_beneath(const char *folder, const char *relative, struct qn_file_map *map)
{
    *map = (struct qn_file_map){0};
    if (!folder || !*folder)
        folder = ".";
    if (!*relative || *relative == '/' || climbs(relative))
        return QN_ERROR(QN_INVALID_FILE, "'%s': expected a path inside the folder %s, without '..'", relative, folder);
    size_t size = strlen(folder) + strlen(relative) + 2;
    char *path = malloc(size), *root = NULL, *whole = NULL;
    if (!path)
        return QN_OOM();
    snprintf(path, size, "%s/%s", folder, relative);
    root = realpath(folder, NULL);
    whole = realpath(path, NULL);
    qn_status status = NULL;
    int fd = -1;
    if (!root || !whole)
        status = QN_ERROR(errno == ENOENT ? QN_NOT_FOUND : QN_IO, "%s: cannot open: %s", path, strerror(errno));
    else
        status = open_beneath(root, whole, path, &fd);
    if (!status)
        status = map_descriptor(path, fd, map);
    if (fd >= 0)
        close(fd);
    free(path);
    free(root);
    free(whole);
    return status;
}

void qn_file_unmap(struct qn_file_map *map)
{
    if (map->mapped)
        munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    *map = (struct qn_file_map){0};
}

/* Advises on the pages of [offset, offset + size) within the map; `inner` leaves out pages shared with neighbours. */
static void advise(const struct qn_file_map *map, uint64_t offset, uint64_t size, bool inner, int advice)
{
    if (!map->mapped || offset >= map->size)
        return;
    if (size > map->size - offset)
        size = map->size - offset;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), begin = offset, end = offset + size;
    begin = inner ? (begin + page - 1) / page * page : begin / page * page;
    if (inner && end < map->size)
        end = end / page * page;
    if (begin < end)
        (void)madvise((void *)(uintptr_t)(map->data + begin), (size_t)(end - begin), advice); /* a hint may fail */
}

void qn_file_map_will_need(const struct qn_file_map *map, uint64_t offset, uint64_t size)
{
    advise(map, offset, size, false, MADV_WILLNEED);
}

void qn_file_map_read_in(const struct qn_file_map *map, uint64_t offset, uint64_t size)
{
#ifdef MADV_POPULATE_READ
    advise(map, offset, size, false, MADV_POPULATE_READ);
#else
    (void)map, (void)offset, (void)size;
#endif
}

void qn_file_map_drop(const struct qn_file_map *map, uint64_t offset, uint64_t size)
{
    advise(map, offset, size, true, MADV_DONTNEED);
}

bool qn_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool qn_folder_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

qn_status qn_folder_create(const char *path)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && qn_folder_exists(path)))
        return NULL;
    return QN_ERROR(QN_IO, "%s: cannot create the folder: %s", path, strerror(errno));
}

void qn_file_remove(const char *path)
{
    (void)unlink(path);
}

void qn_file_stamp(const char *path, uint64_t *size, int64_t *changed_ns)
{
    struct stat st;
    bool there = stat(path, &st) == 0;
    *size = there ? (uint64_t)st.st_size : 0;
    *changed_ns = there ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec : 0;
}

bool qn_file_same(const char *a, const char *b)
{
    struct stat st_a, st_b;
    return stat(a, &st_a) == 0 && stat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino;
}

/* ---- writing aside -------------------------------------------------------------------------------------------- */

enum { WRITER_BUFFER = 1 << 20 };

struct qn_file_writer {
    int fd;
    size_t used;
    uint64_t keep;          /* bytes to come that are in the file already */
    char *path, *temporary; /* both in the block of the writer */
    char buffer[WRITER_BUFFER];
};

/* The writer without its file. */
static struct qn_file_writer *new_writer(const char *path)
{
    size_t path_size = strlen(path) + 1;
    struct qn_file_writer *writer = malloc(sizeof *writer + path_size + path_size + 32);
    if (!writer)
        return NULL;
    writer->used = 0;
    writer->keep = 0;
    writer->path = (char *)(writer + 1);
    writer->temporary = writer->path + path_size;
    memcpy(writer->path, path, path_size);
    return writer;
}

static qn_status fail_create(struct qn_file_writer *writer)
{
    qn_status status = QN_ERROR(QN_IO, "%s: cannot create: %s", writer->temporary, strerror(errno));
    free(writer);
    return status;
}

qn_status qn_file_writer_open(const char *path, struct qn_file_writer **out)
{
    *out = NULL;
    struct qn_file_writer *writer = new_writer(path);
    if (!writer)
        return QN_OOM();
    snprintf(writer->temporary, strlen(path) + 33, "%s.tmp-%ld", path, (long)getpid());
    writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (writer->fd < 0)
        return fail_create(writer);
    *out = writer;
    return NULL;
}

qn_status qn_file_writer_open_part(const char *path, uint64_t keep, struct qn_file_writer **out, uint64_t *kept)
{
    *out = NULL;
    *kept = 0;
    struct qn_file_writer *writer = new_writer(path);
    if (!writer)
        return QN_OOM();
    snprintf(writer->temporary, strlen(path) + 33, "%s.part", path);
    writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (writer->fd < 0)
        return fail_create(writer);
    struct stat st;
    qn_status status = NULL;
    if (flock(writer->fd, LOCK_EX | LOCK_NB) != 0)
        status = QN_ERROR(QN_IO, "%s: another process is writing it", writer->temporary);
    else if (fstat(writer->fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = QN_ERROR(QN_IO, "%s: is not a regular file", writer->temporary);
    if (!status) {
        writer->keep = keep <= (uint64_t)st.st_size ? keep : 0;
        if (ftruncate(writer->fd, (off_t)writer->keep) != 0 || lseek(writer->fd, 0, SEEK_END) < 0)
            status = QN_ERROR(QN_IO, "%s: cannot be cut: %s", writer->temporary, strerror(errno));
    }
    if (status) {
        close(writer->fd);
        free(writer);
        return status;
    }
    *kept = writer->keep;
    *out = writer;
    return NULL;
}

static qn_status write_all(struct qn_file_writer *writer, const char *data, size_t size)
{
    while (size) {
        ssize_t done = write(writer->fd, data, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return QN_ERROR(QN_IO, "%s: cannot write: %s", writer->temporary, strerror(errno));
        data += done;
        size -= (size_t)done;
    }
    return NULL;
}

static qn_status flush(struct qn_file_writer *writer)
{
    size_t used = writer->used;
    writer->used = 0;
    return write_all(writer, writer->buffer, used);
}

qn_status qn_file_writer_write(struct qn_file_writer *writer, const void *data, size_t size)
{
    if (writer->keep) {
        size_t there = size < writer->keep ? size : (size_t)writer->keep;
        writer->keep -= there;
        size -= there;
        data = (const char *)data + there;
    }
    bool direct = size > WRITER_BUFFER / 2;
    if (direct || size > WRITER_BUFFER - writer->used)
        QN_TRY(flush(writer)); /* what came before stays before */
    if (direct)
        return write_all(writer, data, size);
    if (size)
        memcpy(writer->buffer + writer->used, data, size);
    writer->used += size;
    return NULL;
}

bool qn_file_writer_skip(struct qn_file_writer *writer, uint64_t size)
{
    if (size > writer->keep)
        return false;
    writer->keep -= size;
    return true;
}

qn_status qn_file_writer_sync(struct qn_file_writer *writer)
{
    QN_TRY(flush(writer));
    if (fsync(writer->fd) != 0 && errno != EINVAL && errno != EROFS)
        return QN_ERROR(QN_IO, "%s: cannot sync: %s", writer->temporary, strerror(errno));
    return NULL;
}

void qn_file_writer_leave(struct qn_file_writer *writer)
{
    if (!writer)
        return;
    qn_status_ignore(flush(writer)); /* what is counted as written was synced before */
    close(writer->fd);
    free(writer);
}

/* Makes the rename last through a power cut: the folder's entry is data as well. */
static void sync_folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        slash[slash == path] = 0;
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems refuse; the data itself is synced */
        close(fd);
    }
}

qn_status qn_file_writer_commit(struct qn_file_writer *writer)
{
    qn_status status = flush(writer);
    if (!status && fsync(writer->fd) != 0 && errno != EINVAL && errno != EROFS)
        status = QN_ERROR(QN_IO, "%s: cannot sync: %s", writer->temporary, strerror(errno));
    if (!status && rename(writer->temporary, writer->path) != 0)
        status = QN_ERROR(QN_IO, "%s: cannot take the name of the finished file: %s", writer->path, strerror(errno));
    if (status) {
        qn_file_writer_discard(writer);
        return status;
    }
    close(writer->fd);
    sync_folder_of(writer->path);
    free(writer);
    return NULL;
}

void qn_file_writer_discard(struct qn_file_writer *writer)
{
    if (!writer)
        return;
    close(writer->fd);
    unlink(writer->temporary);
    free(writer);
}
