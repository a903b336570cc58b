/* WAV: PCM of 8, 16, 24 and 32 bits, float of 32 and 64 bits, plain or extensible. */
#include <inttypes.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/status.h"
#include "quern/media.h"

static uint32_t u16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}
static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

enum { FORMAT_PCM = 1, FORMAT_FLOAT = 3, FORMAT_EXTENSIBLE = 0xfffe };

struct wav {
    const uint8_t *data;
    uint64_t size;
    uint32_t format, channels, rate, bits;
};

static qn_status read_format(const uint8_t *chunk, uint64_t size, struct wav *wav)
{
    if (size < 16)
        return QN_ERROR(QN_INVALID_FILE, "a format chunk of %" PRIu64 " bytes", size);
    wav->format = u16(chunk);
    wav->channels = u16(chunk + 2);
    wav->rate = u32(chunk + 4);
    wav->bits = u16(chunk + 14);
    if (wav->format == FORMAT_EXTENSIBLE && size >= 26)
        wav->format = u16(chunk + 24);
    bool pcm = wav->format == FORMAT_PCM && (wav->bits == 8 || wav->bits == 16 || wav->bits == 24 || wav->bits == 32);
    bool real = wav->format == FORMAT_FLOAT && (wav->bits == 32 || wav->bits == 64);
    if (!pcm && !real)
        return QN_ERROR(QN_UNSUPPORTED, "format %u with %u bits", wav->format, wav->bits);
    if (wav->channels == 0 || wav->channels > 1024)
        return QN_ERROR(QN_INVALID_FILE, "%u channels", wav->channels);
    return NULL;
}

/* Chunks up to the data; a data chunk that says more than there is (streams do) is cut. */
static qn_status read_chunks(const uint8_t *bytes, size_t size, struct wav *wav)
{
    if (size < 12 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WAVE", 4) != 0)
        return QN_ERROR(QN_UNSUPPORTED, "no WAV file");
    for (size_t at = 12; size - at >= 8;) {
        const uint8_t *chunk = bytes + at;
        uint64_t length = u32(chunk + 4), left = size - at - 8;
        bool data = memcmp(chunk, "data", 4) == 0;
        if (length > left) {
            if (!data)
                return QN_ERROR(QN_INVALID_FILE, "a chunk of %" PRIu64 " bytes, %" PRIu64 " are left", length, left);
            length = left;
        }
        if (memcmp(chunk, "fmt ", 4) == 0)
            QN_TRY(read_format(chunk + 8, length, wav));
        if (data) {
            wav->data = chunk + 8;
            wav->size = length;
            break;
        }
        uint64_t step = 8 + length + (length & 1);
        if (step > size - at)
            break;
        at += step;
    }
    if (!wav->channels || !wav->data)
        return QN_ERROR(QN_INVALID_FILE, "the %s chunk is missing", wav->channels ? "data" : "format");
    return NULL;
}

static float sample(const struct wav *wav, const uint8_t *p)
{
    uint64_t bits64;
    uint32_t bits32;
    float f32;
    double f64;
    if (wav->format == FORMAT_FLOAT && wav->bits == 32) {
        bits32 = u32(p);
        memcpy(&f32, &bits32, sizeof f32);
        return f32;
    }
    if (wav->format == FORMAT_FLOAT) {
        bits64 = u32(p) | (uint64_t)u32(p + 4) << 32;
        memcpy(&f64, &bits64, sizeof f64);
        return (float)f64;
    }
    switch (wav->bits) {
    case 8:
        return (float)((int)p[0] - 128) / 128.0f;
    case 16:
        return (float)(int16_t)u16(p) / 32768.0f;
    case 24:
        return (float)((int32_t)(u16(p) << 8 | (uint32_t)p[2] << 24) >> 8) / 8388608.0f;
    default:
        return (float)((double)(int32_t)u32(p) / 2147483648.0);
    }
}

qn_status qn_sound_decode(const void *bytes, size_t size, const char *name, const struct qn_allocator *allocator,
                          struct qn_sound *out)
{
    struct wav wav = {0};
    allocator = allocator ? allocator : qn_allocator_default();
    QN_TRY(qn_status_note(read_chunks(bytes, size, &wav), "'%s'", name));
    if (wav.bits < 8 || wav.channels == 0)
        return QN_ERROR(QN_INVALID_FILE, "'%s': %u channels of %u bits", name, (unsigned)wav.channels,
                        (unsigned)wav.bits);
    uint64_t step = wav.bits / 8, frames = wav.size / (step * wav.channels), samples = frames * wav.channels;
    out->channels = wav.channels;
    out->rate = wav.rate;
    out->frames = frames;
    out->samples = NULL;
    if (!samples)
        return QN_ERROR(QN_INVALID_FILE, "'%s': no sound in it", name);
    size_t room;
    if (!qn_mul_size((size_t)samples, sizeof(float), &room))
        return QN_OOM();
    out->samples = qn_alloc(allocator, room);
    if (!out->samples)
        return QN_OOM();
    for (uint64_t i = 0; i < samples; i++)
        out->samples[i] = sample(&wav, wav.data + i * step);
    return NULL;
}

void qn_sound_free(struct qn_sound *sound, const struct qn_allocator *allocator)
{
    if (!sound || !sound->samples)
        return;
    qn_free(allocator ? allocator : qn_allocator_default(), sound->samples,
            (size_t)(sound->frames * sound->channels) * sizeof(float));
    sound->samples = NULL;
}
