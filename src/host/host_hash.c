/* Hashes of strings and numbers: MurmurHash3 in its form for 32 bits (Austin Appleby, public domain). */
#include "host/host_call.h"
#include "ir/ir.h"

static uint32_t turned(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static uint32_t scattered(uint32_t word)
{
    return turned(word * 0xcc9e2d51u, 15) * 0x1b873593u;
}

static uint32_t murmur(const uint8_t *bytes, size_t size, uint32_t hash)
{
    size_t whole = size / 4 * 4;
    uint32_t word = 0;
    for (size_t i = 0; i < whole; i += 4) {
        word = (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 | (uint32_t)bytes[i + 2] << 16 |
               (uint32_t)bytes[i + 3] << 24;
        hash = turned(hash ^ scattered(word), 13) * 5 + 0xe6546b64u;
    }
    word = 0;
    for (size_t i = size; i-- > whole;)
        word = word << 8 | bytes[i];
    if (size > whole)
        hash ^= scattered(word);
    hash ^= (uint32_t)size;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

qn_status qn_host_murmur_hash(const struct qn_host_call *c)
{
    const struct qn_attr_murmur_hash *attr = c->attr;
    struct qn_view x;
    QN_TRY(qn_host_tensor(c, 0, &x));
    uint64_t unit = qn_host_unit(x.dtype);
    if (x.dtype != QN_DTYPE_STRING && unit != 4 && unit != 8)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input 0 is %s: expected strings, or numbers of 4 or 8 bytes",
                        qn_dtype_name(x.dtype));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_U32, x.rank, x.dims, &c->out[0]));
    uint32_t *y = c->out[0]->tensor.data, seed = (uint32_t)(uint64_t)attr->seed;
    const int64_t elems = qn_view_elems(&x);
    for (int64_t i = 0; i < elems; i++) {
        QN_TRY(qn_host_go_on(c));
        if (x.dtype == QN_DTYPE_STRING) {
            const struct qn_string *text = (const struct qn_string *)x.data + i;
            y[i] = murmur((const uint8_t *)text->data, text->size, seed);
        } else {
            y[i] = murmur((const uint8_t *)x.data + (uint64_t)i * unit, unit, seed);
        }
    }
    return NULL;
}
