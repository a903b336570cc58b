/* BMP and PNM, which need no library. */
#include "base/checked.h"
#include "host/raster.h"

/* ---- BMP ------------------------------------------------------------------------------------------------------ */

static uint32_t u16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}
static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

struct bmp {
    const uint8_t *bytes, *palette;
    size_t size, palette_entries, entry; /* entry: bytes of a palette's colour */
    uint32_t bits;
    uint32_t masks[3];
    bool bottom_up;
    uint32_t width, height;
    size_t pixels; /* offset */
};

/* The bits under a mask, spread over 0 .. 255. */
static uint8_t masked(uint32_t pixel, uint32_t mask)
{
    if (!mask)
        return 0;
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift, value = (pixel & mask) >> shift;
    return (uint8_t)((value * 255 + most / 2) / most);
}

static qn_status read_bmp_header(struct bmp *b)
{
    if (b->size < 26)
        return QN_ERROR(QN_INVALID_FILE, "%zu bytes hold no header", b->size);
    uint32_t header = u32(b->bytes + 14), compression = 0, colors = 0;
    b->pixels = u32(b->bytes + 10);
    if (header == 12) {
        b->width = u16(b->bytes + 18);
        b->height = u16(b->bytes + 20);
        b->bits = u16(b->bytes + 24);
        b->bottom_up = true;
        b->entry = 3;
    } else if (header >= 40 && header <= 1024 && b->size >= 14 + (size_t)header) {
        int32_t height = (int32_t)u32(b->bytes + 22);
        b->width = u32(b->bytes + 18);
        b->bottom_up = height > 0;
        b->height = height > 0 ? (uint32_t)height : 0u - (uint32_t)height;
        b->bits = u16(b->bytes + 28);
        compression = u32(b->bytes + 30);
        colors = u32(b->bytes + 46);
        b->entry = 4;
    } else {
        return QN_ERROR(QN_INVALID_FILE, "a header of %u bytes", header);
    }
    size_t behind = 14 + (size_t)header;
    bool fields = compression == 3 || compression == 6;
    if ((compression != 0 && !fields) || (fields && b->bits != 16 && b->bits != 32))
        return QN_ERROR(QN_UNSUPPORTED, "compression %u", compression);
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 && b->bits != 32)
        return QN_ERROR(QN_INVALID_FILE, "%u bits a pixel", b->bits);
    b->masks[0] = b->bits == 16 ? 0x7c00 : 0xff0000;
    b->masks[1] = b->bits == 16 ? 0x03e0 : 0x00ff00;
    b->masks[2] = b->bits == 16 ? 0x001f : 0x0000ff;
    if (fields) {
        if (b->size < 66)
            return QN_ERROR(QN_INVALID_FILE, "the colour masks are missing");
        for (int i = 0; i < 3; i++)
            b->masks[i] = u32(b->bytes + 54 + 4 * i);
    }
    if (b->bits <= 8) {
        b->palette = b->bytes + behind;
        b->palette_entries = colors && colors < 1u << b->bits ? colors : 1u << b->bits;
        size_t room = behind < b->size ? (b->size - behind) / b->entry : 0;
        b->palette_entries = b->palette_entries < room ? b->palette_entries : room;
    }
    return NULL;
}

static void bmp_row(const struct bmp *b, const uint8_t *row, uint8_t *rgb)
{
    for (uint32_t x = 0; x < b->width; x++, rgb += 3) {
        if (b->bits <= 8) {
            uint32_t at = x * b->bits, index = row[at / 8] >> (8 - b->bits - at % 8) & ((1u << b->bits) - 1);
            for (int c = 0; c < 3; c++)
                rgb[c] = index < b->palette_entries ? b->palette[index * b->entry + 2 - (size_t)c] : 0;
            continue;
        }
        if (b->bits == 24) {
            for (int c = 0; c < 3; c++)
                rgb[c] = row[3 * (size_t)x + 2 - (size_t)c];
            continue;
        }
        uint32_t pixel = b->bits == 16 ? u16(row + 2 * (size_t)x) : u32(row + 4 * (size_t)x);
        for (int c = 0; c < 3; c++)
            rgb[c] = masked(pixel, b->masks[c]);
    }
}

qn_status qn_image_read_bmp(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    struct bmp b = {.bytes = bytes, .size = size};
    QN_TRY(read_bmp_header(&b));
    uint64_t stride = ((uint64_t)b.width * b.bits + 31) / 32 * 4;
    if (b.width && b.height && (b.pixels > size || stride > (size - b.pixels) / b.height))
        return QN_ERROR(QN_INVALID_FILE, "%u x %u pixels do not fit %zu bytes", b.width, b.height, size);
    QN_TRY(qn_raster_take(out, b.width, b.height));
    for (uint32_t y = 0; y < b.height; y++)
        bmp_row(&b, bytes + b.pixels + y * stride,
                out->rgb + (size_t)(b.bottom_up ? b.height - 1 - y : y) * b.width * 3);
    return NULL;
}

/* ---- PNM ------------------------------------------------------------------------------------------------------ */

struct reader {
    const uint8_t *at, *end;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A number of the header or of a text picture; white space and comments before it are skipped. */
static bool next_number(struct reader *r, uint32_t *out)
{
    while (r->at < r->end && (is_blank(*r->at) || *r->at == '#')) {
        if (*r->at++ == '#')
            while (r->at < r->end && r->at[-1] != '\n')
                r->at++;
    }
    uint64_t value = 0;
    const uint8_t *start = r->at;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && value < UINT32_MAX; r->at++)
        value = value * 10 + (uint64_t)(*r->at - '0');
    *out = (uint32_t)value;
    return r->at > start && value < UINT32_MAX;
}

/* Text bitmaps may stand without white space between their digits. */
static bool next_bit(struct reader *r, uint32_t *out)
{
    while (r->at < r->end && is_blank(*r->at))
        r->at++;
    if (r->at == r->end || (*r->at != '0' && *r->at != '1'))
        return false;
    *out = *r->at++ == '0'; /* 1 is black */
    return true;
}

static bool next_sample(struct reader *r, char kind, uint32_t most, uint32_t *out)
{
    if (kind == '1')
        return next_bit(r, out);
    if (kind <= '3')
        return next_number(r, out);
    if (r->end - r->at < (most > 255 ? 2 : 1))
        return false;
    *out = most > 255 ? (uint32_t)r->at[0] << 8 | r->at[1] : r->at[0];
    r->at += most > 255 ? 2 : 1;
    return true;
}

static bool packed_row(struct reader *r, uint32_t width, uint8_t *rgb)
{
    size_t bytes = ((size_t)width + 7) / 8;
    if ((size_t)(r->end - r->at) < bytes)
        return false;
    for (uint32_t x = 0; x < width; x++)
        memset(rgb + 3 * (size_t)x, r->at[x / 8] >> (7 - x % 8) & 1 ? 0 : 255, 3);
    r->at += bytes;
    return true;
}

qn_status qn_image_read_pnm(const uint8_t *bytes, size_t size, struct qn_raster *out)
{
    struct reader r = {bytes + 2, bytes + size};
    char kind = (char)bytes[1];
    uint32_t width, height, most = 1, channels = kind == '3' || kind == '6' ? 3 : 1, sample;
    bool bitmap = kind == '1' || kind == '4';
    if (!next_number(&r, &width) || !next_number(&r, &height) || (!bitmap && !next_number(&r, &most)) || most == 0 ||
        most > 65535 || (kind >= '4' && r.at == r.end))
        return QN_ERROR(QN_INVALID_FILE, "the header is damaged");
    r.at += kind >= '4';
    if (width && height > (uint64_t)(r.end - r.at) * 8 / width)
        return QN_ERROR(QN_INVALID_FILE, "%u x %u pixels do not fit %zu bytes", width, height, size);
    QN_TRY(qn_raster_take(out, width, height));
    for (uint32_t y = 0; y < height; y++) {
        uint8_t *row = out->rgb + (size_t)y * width * 3;
        bool good = kind == '4' ? packed_row(&r, width, row) : true;
        for (uint32_t x = 0; kind != '4' && x < width && good; x++) {
            for (uint32_t c = 0; c < channels && good; c++) {
                good = next_sample(&r, kind, most, &sample);
                sample = good && sample < most ? sample : most;
                row[3 * (size_t)x + c] = (uint8_t)((sample * 255 + most / 2) / most);
            }
            if (channels == 1)
                row[3 * (size_t)x + 1] = row[3 * (size_t)x + 2] = row[3 * (size_t)x];
        }
        if (!good)
            return QN_ERROR(QN_INVALID_FILE, "the data end in row %u of %u", y, height);
    }
    return NULL;
}
