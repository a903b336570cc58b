#include "format/zip_file.h"

#include <inttypes.h>
#include <zlib.h>

#include "base/checked.h"

enum {
    LOCAL_SIZE = 30,
    ENTRY_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    MAX_COMMENT = 65535,
    MAX_RATIO = 1032, /* deflate cannot do better */
};

static uint64_t load(const uint8_t *p, uint32_t bytes)
{
    uint64_t out = 0;
    for (uint32_t i = bytes; i-- > 0;)
        out = out << 8 | p[i];
    return out;
}

bool qn_zip_probe(const uint8_t *data, uint64_t size)
{
    return size >= END_SIZE && load(data, 4) == 0x04034b50;
}

static qn_status bad(const char *what)
{
    return QN_ERROR(QN_INVALID_FILE, "zip: %s", what);
}

/* The record at the file's end, behind which only a comment stands. */
static qn_status find_end(const uint8_t *data, uint64_t size, uint64_t *out)
{
    uint64_t last = size - END_SIZE, first = last > MAX_COMMENT ? last - MAX_COMMENT : 0;
    for (uint64_t at = last + 1; at-- > first;)
        if (load(data + at, 4) == 0x06054b50 && load(data + at + 20, 2) == size - END_SIZE - at) {
            *out = at;
            return NULL;
        }
    return bad("the directory at the end is missing (is the file cut off?)");
}

struct directory {
    uint64_t count, bytes, offset;
};

static qn_status read_end(const uint8_t *data, uint64_t size, struct directory *d)
{
    uint64_t end;
    if (size < END_SIZE)
        return bad("too short");
    QN_TRY(find_end(data, size, &end));
    const uint8_t *p = data + end;
    *d = (struct directory){load(p + 10, 2), load(p + 12, 4), load(p + 16, 4)};
    bool wide = d->count == 0xffff || d->bytes == 0xffffffff || d->offset == 0xffffffff;
    if (wide && end >= LOCATOR_SIZE && load(p - LOCATOR_SIZE, 4) == 0x07064b50) {
        uint64_t at = load(p - LOCATOR_SIZE + 8, 8);
        if (size < END64_SIZE || at > size - END64_SIZE || load(data + at, 4) != 0x06064b50)
            return bad("the 64-bit directory record is not where it should be");
        *d = (struct directory){load(data + at + 32, 8), load(data + at + 40, 8), load(data + at + 48, 8)};
    }
    if (d->offset > size || d->bytes > size - d->offset || d->count > d->bytes / ENTRY_SIZE)
        return bad("the directory lies outside the file");
    return NULL;
}

/* Sizes that do not fit 32 bits stand in an extra field, in this order, those that do not fit only. */
static void read_wide(const uint8_t *extra, uint64_t size, struct qn_zip_member *m)
{
    while (size >= 4) {
        uint64_t id = load(extra, 2), length = load(extra + 2, 2);
        if (length > size - 4)
            return;
        const uint8_t *at = extra + 4, *end = at + length;
        uint64_t *fields[] = {&m->size, &m->packed, &m->header};
        for (int i = 0; id == 1 && i < 3; i++)
            if (*fields[i] == 0xffffffff && end - at >= 8) {
                *fields[i] = load(at, 8);
                at += 8;
            }
        extra += 4 + length;
        size -= 4 + length;
    }
}

qn_status qn_zip_open(const uint8_t *data, uint64_t size, struct qn_arena *arena, struct qn_zip *out)
{
    struct directory d;
    QN_TRY(read_end(data, size, &d));
    *out = (struct qn_zip){.data = data, .size = size, .count = (uint32_t)d.count};
    if (d.count > UINT32_MAX)
        return bad("too many members");
    out->members = QN_ARENA_ARRAY(arena, struct qn_zip_member, (size_t)d.count);
    if (!out->members)
        return QN_OOM();
    const uint8_t *p = data + d.offset;
    uint64_t left = d.bytes;
    for (uint64_t i = 0; i < d.count; i++) {
        if (left < ENTRY_SIZE || load(p, 4) != 0x02014b50)
            return bad("the directory is damaged");
        uint64_t name = load(p + 28, 2), extra = load(p + 30, 2), whole = ENTRY_SIZE + name + extra + load(p + 32, 2);
        if (whole > left)
            return bad("the directory is damaged");
        struct qn_zip_member *m = &out->members[i];
        *m = (struct qn_zip_member){.name = {(const char *)p + ENTRY_SIZE, (size_t)name},
                                    .method = (uint32_t)load(p + 10, 2),
                                    .crc = (uint32_t)load(p + 16, 4),
                                    .encrypted = load(p + 8, 2) & 1,
                                    .packed = load(p + 20, 4),
                                    .size = load(p + 24, 4),
                                    .header = load(p + 42, 4)};
        read_wide(p + ENTRY_SIZE + name, extra, m);
        p += whole;
        left -= whole;
    }
    return NULL;
}

const struct qn_zip_member *qn_zip_find(const struct qn_zip *zip, struct qn_str name)
{
    for (uint32_t i = 0; i < zip->count; i++)
        if (qn_str_eq(zip->members[i].name, name))
            return &zip->members[i];
    return NULL;
}

qn_status qn_zip_place(const struct qn_zip *zip, const struct qn_zip_member *m, uint64_t *offset)
{
    if (m->header > zip->size || zip->size - m->header < LOCAL_SIZE || load(zip->data + m->header, 4) != 0x04034b50)
        return QN_ERROR(QN_INVALID_FILE, "zip: member '%.*s' is not where the directory says", QN_STR_ARG(m->name));
    const uint8_t *p = zip->data + m->header;
    uint64_t start = m->header + LOCAL_SIZE + load(p + 26, 2) + load(p + 28, 2), end;
    if (!qn_add_u64(start, m->packed, &end) || end > zip->size)
        return QN_ERROR(QN_INVALID_FILE, "zip: member '%.*s' lies outside the file", QN_STR_ARG(m->name));
    if (m->encrypted || (m->method != 0 && m->method != 8))
        return QN_ERROR(QN_UNSUPPORTED, "zip: member '%.*s' is encrypted or packed by method %u; expected 0 or 8",
                        QN_STR_ARG(m->name), m->method);
    if (m->method == 0 ? m->packed != m->size : m->size / MAX_RATIO > m->packed)
        return QN_ERROR(QN_INVALID_FILE, "zip: member '%.*s': %" PRIu64 " bytes cannot unpack to %" PRIu64,
                        QN_STR_ARG(m->name), m->packed, m->size);
    *offset = start;
    return NULL;
}

/* Through zlib, whose counts are of 32 bits: by parts. */
static bool inflate_all(const uint8_t *in, uint64_t in_size, uint8_t *out, uint64_t out_size)
{
    enum { PART = 1 << 30 };
    z_stream stream = {0};
    uint8_t spare;
    if (inflateInit2(&stream, -15) != Z_OK)
        return false;
    int result = Z_OK;
    uint64_t read = 0, written = 0;
    while (result == Z_OK) {
        uint64_t in_part = in_size - read < PART ? in_size - read : PART,
                 out_part = out_size - written < PART ? out_size - written : PART;
        stream.next_in = (Bytef *)(uintptr_t)(in + read);
        stream.avail_in = (uInt)in_part;
        stream.next_out = out_part ? out + written : &spare; /* the end of the data may still have to be read */
        stream.avail_out = out_part ? (uInt)out_part : 1;
        uint64_t room = stream.avail_out;
        result = inflate(&stream, Z_NO_FLUSH);
        uint64_t made = room - stream.avail_out;
        read += in_part - stream.avail_in;
        if (!out_part && made)
            result = Z_DATA_ERROR; /* more than the directory says */
        written += out_part ? made : 0;
        if (result == Z_OK && made == 0 && in_part == stream.avail_in)
            result = Z_BUF_ERROR;
    }
    inflateEnd(&stream);
    return result == Z_STREAM_END && written == out_size;
}

qn_status qn_zip_unpack(const struct qn_zip *zip, const struct qn_zip_member *m, void *out)
{
    uint64_t offset;
    QN_TRY(qn_zip_place(zip, m, &offset));
    bool ok = true;
    if (m->method == 8)
        ok = inflate_all(zip->data + offset, m->packed, out, m->size);
    else if (m->size)
        memcpy(out, zip->data + offset, (size_t)m->size);
    uLong sum = crc32_z(0, NULL, 0);
    if (ok)
        sum = crc32_z(sum, out, (z_size_t)m->size);
    if (!ok || (uint32_t)sum != m->crc)
        return QN_ERROR(QN_INVALID_FILE, "zip: member '%.*s' is damaged (%s)", QN_STR_ARG(m->name),
                        ok ? "its checksum is wrong" : "it does not unpack");
    return NULL;
}
