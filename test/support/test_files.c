#define _GNU_SOURCE /* nftw, mkdtemp, asprintf */
#include "support/testing.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Texts that stay until the process ends; kept in a list so that a leak checker sees them held. */
struct kept {
    struct kept *next;
    char text[];
};
static struct kept *kept_texts;

static const char *keep_joined(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    struct kept *kept = malloc(sizeof *kept + size);
    if (!kept)
        fail_msg("out of memory");
    snprintf(kept->text, size, "%s/%s", folder, name);
    kept->next = kept_texts;
    kept_texts = kept;
    return kept->text;
}

/* ---- temporary folder ----------------------------------------------------------------------------------------- */

static char temp_folder[256];
static pid_t temp_owner;

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_temp_folder(void)
{
    if (getpid() == temp_owner) /* not a child that a test forked */
        nftw(temp_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *make_temp_folder(void)
{
    if (!temp_folder[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(temp_folder, sizeof temp_folder, "%s/quern-test-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(temp_folder))
            fail_msg("%s cannot be made", temp_folder);
        temp_owner = getpid();
        atexit(remove_temp_folder);
    }
    return temp_folder;
}

const char *qn_test_temp(const char *name)
{
    return keep_joined(make_temp_folder(), name);
}

int qn_test_temp_count(void)
{
    DIR *folder = opendir(make_temp_folder());
    int count = -2; /* . and .. */
    if (!folder)
        fail_msg("%s cannot be read", temp_folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* ---- content -------------------------------------------------------------------------------------------------- */

void qn_test_write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(data, 1, size, file) == size;
    if (file && fclose(file) != 0)
        written = false;
    if (!written)
        fail_msg("%s cannot be written", path);
}

char *qn_test_read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be opened", path);
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    char *data = length < 0 ? NULL : malloc((size_t)length + 1);
    bool whole = data && fread(data, 1, (size_t)length, file) == (size_t)length;
    fclose(file);
    if (!whole) {
        free(data);
        fail_msg("%s cannot be read", path);
    }
    data[length] = 0;
    if (size)
        *size = (size_t)length;
    return data;
}

void qn_test_same_files(const char *a, const char *b)
{
    size_t a_size, b_size;
    char *x = qn_test_read_file(a, &a_size), *y = qn_test_read_file(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(x, y, a_size);
    free(x);
    free(y);
}

/* ---- the repository and the conformance data ------------------------------------------------------------------ */

const char *qn_test_source(const char *relative)
{
    return keep_joined(QN_SOURCE_DIR, relative);
}

const char *qn_test_conformance_at(const char *relative, const char *file, int line)
{
    const char *base = getenv("QUERN_CONFORMANCE");
    const char *path = keep_joined(base && *base ? base : QN_SOURCE_DIR "/../shared/conformance", relative);
    if (access(path, R_OK) == 0)
        return path;
    const char *required = getenv("QUERN_CONFORMANCE_REQUIRED");
    if (required && *required) {
        print_error("conformance data %s is missing, and QUERN_CONFORMANCE_REQUIRED is set\n", path);
        _fail(file, line);
    }
    print_message("skipped: conformance data %s is not here\n", path);
    _skip(file, line);
    return NULL;
}

/* ---- .npy ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *descr;
    qn_dtype dtype;
} npy_types[] = {
    {"|b1", QN_DTYPE_BOOL}, {"|i1", QN_DTYPE_I8},  {"|u1", QN_DTYPE_U8},  {"<i2", QN_DTYPE_I16},
    {"<u2", QN_DTYPE_U16},  {"<i4", QN_DTYPE_I32}, {"<u4", QN_DTYPE_U32}, {"<i8", QN_DTYPE_I64},
    {"<u8", QN_DTYPE_U64},  {"<f2", QN_DTYPE_F16}, {"<f4", QN_DTYPE_F32}, {"<f8", QN_DTYPE_F64},
};

/* The text after a key of the header's dictionary, for example after "'shape':". */
static const char *npy_field(const char *path, const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at)
        fail_msg("%s: the header has no %s", path, key);
    at += strlen(key);
    while (*at == ' ')
        at++;
    return at;
}

static void npy_parse(const char *path, char *header, struct qn_test_npy *npy)
{
    const char *descr = npy_field(path, header, "'descr':"), *order = npy_field(path, header, "'fortran_order':");
    for (size_t i = 0; i < sizeof npy_types / sizeof npy_types[0]; i++)
        if (strncmp(descr + 1, npy_types[i].descr, 3) == 0)
            npy->dtype = npy_types[i].dtype;
    if (npy->dtype == QN_DTYPE_NONE || strncmp(order, "False", 5) != 0)
        fail_msg("%s: unknown type %.8s, or not in C order", path, descr);
    const char *at = npy_field(path, header, "'shape':") + 1;
    npy->count = 1;
    for (char *end; npy->rank < 8; at = end + strspn(end, ", ")) {
        int64_t dim = strtoll(at, &end, 10);
        if (end == at)
            break;
        npy->dims[npy->rank++] = dim;
        npy->count *= (uint64_t)dim;
    }
}

void qn_test_npy_read(const char *path, struct qn_test_npy *npy)
{
    *npy = (struct qn_test_npy){0};
    size_t size;
    npy->file = qn_test_read_file(path, &size);
    const uint8_t *bytes = (const uint8_t *)npy->file;
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        fail_msg("%s is no .npy file", path);
    size_t start = bytes[6] == 1 ? 10 : 12, length = (size_t)(bytes[8] | bytes[9] << 8);
    if (bytes[6] != 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length == 0 || length > size - start)
        fail_msg("%s: the header leaves the file", path);
    npy->file[start + length - 1] = 0; /* the newline that ends the header */
    npy_parse(path, npy->file + start, npy);
    npy->data = npy->file + start + length;
    if (npy->count * qn_dtype_info(npy->dtype)->block_bytes != size - start - length)
        fail_msg("%s: %zu bytes of data do not fit its shape", path, size - start - length);
}

void qn_test_npy_free(struct qn_test_npy *npy)
{
    free(npy->file);
    *npy = (struct qn_test_npy){0};
}
